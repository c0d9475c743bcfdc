"""What to do about what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ..dialing.errors import (
    CertificateExpired,
    CertificateForAnotherHost,
    ConnectFailed,
    ConnectTimeout,
    LookupFailed,
    PeerLeft,
    TLSFailed,
    UnknownIssuer,
)
from ..sansio.dialects import DIALECTS
from ..sansio.errors import HandshakeRefused, ProxyRefused
from ..sansio.http.authentication import read_challenges, shown_scheme
from ..sansio.http.head import text
from .certificates import SOON, Link
from .checks import ALPN, Checks, Finding
from .target import Target

_NAMES: Final = tuple(dialect.name for dialect in DIALECTS)

_NO_ANSWER: Final = (TLSFailed, PeerLeft, ConnectTimeout)

_REFUSALS: Final = {
    200: "An ordinary page is what it answers: whoever stands before the server does not pass the"
    " upgrade on, or there is no WebSocket at this path.",
    401: "It wants to know who you are: put name and password into the URL, or a token into"
    " --header 'Authorization: ...'.",
    403: "It does not want you here: does it expect a page's --origin, a cookie, or credentials?",
    404: "Nothing is served at this path: is the URL's path right?",
    426: "It speaks another dialect, or another version, than was asked for.",
    502: "Whoever stands before the server does not reach it.",
    503: "Whoever stands before the server does not reach it, or it is overloaded.",
    504: "Whoever stands before the server gets no answer from it.",
}


def advice_for(checks: Checks, findings: Sequence[Finding]) -> Iterator[str]:
    """Sentences, the most urgent first; at least one."""
    stages = {finding.stage: finding for finding in findings}
    broken = [each for each in findings if each.works is False and each.stage not in _NAMES]
    asked = stages.get(checks.dialect)
    alpn = stages.get("alpn")
    if alpn is not None and (asked is None or isinstance(asked.error, _NO_ANSWER)):
        yield _wanted_alpn(checks.target)  # it is answered, so that is what was missing
        return
    for finding in broken:
        yield from _way_advice(checks.target, finding)
    if asked is not None and not asked.works:
        yield from _dialect_advice(checks, stages)
    yield from _certificate_advice(checks, stages)
    yield from _address_advice(stages)
    if asked is not None and asked.works and not broken:
        dialect = f" --dialect {asked.stage}" if asked.stage != "rfc6455" else ""
        target = checks.target
        yield f"It works: txhixie connect{dialect}{target.options} {target.shown}"


def _wanted_alpn(target: Target) -> str:
    if target.alpn:
        return "The server refuses what is offered by ALPN: leave --alpn out."
    return f"The server serves only clients that offer ALPN: --alpn {ALPN[0]}"


def _alpn_advice(target: Target) -> str:
    if target.alpn:
        return "Clients that offer no ALPN are refused, as most programs that are no browsers are."
    return (
        f"Browsers and curl offer ALPN and are refused: have the server agree on {ALPN[0]}. With"
        " Twisted 26.10, its factory is to be an IProtocolNegotiationFactory."
    )


def _way_advice(target: Target, finding: Finding) -> Iterator[str]:
    error = finding.error
    if finding.stage == "lookup":
        yield from _lookup_advice(target, error)
    elif finding.stage == "tcp":
        yield from _tcp_advice(target, error)
    elif finding.stage == "proxy":
        yield _proxy_advice(target, error)
    elif finding.stage == "tls":
        yield _tls_advice(target, finding)
    elif finding.stage == "alpn":
        yield _alpn_advice(target)
    elif finding.stage == "round trip":
        yield (
            "Pings go unanswered: whoever keeps the connection alive by them will take this server"
            " for gone."
        )


def _lookup_advice(target: Target, error: Exception | None) -> Iterator[str]:
    if isinstance(error, LookupFailed):
        yield "Nobody knows the name: is it spelled right, and is the name server reached?"
    else:
        yield "The name server does not answer."
    if target.proxy is None:
        yield "If only a proxy knows it, say which: --proxy http://HOST:PORT"


def _tcp_advice(target: Target, error: Exception | None) -> Iterator[str]:
    what = "proxy" if target.proxy is not None else "server"
    if isinstance(error, ConnectFailed) and "refused" in str(error.__cause__):
        yield f"Nothing listens there: is the {what} running, and is this its port and address?"
        return
    yield f"No way leads to the {what}: a firewall may drop what goes there."
    if target.proxy is None:
        yield "If there is a proxy, say which: --proxy http://HOST:PORT"


def _proxy_advice(target: Target, error: Exception | None) -> str:
    if isinstance(error, ProxyRefused):
        if error.status == 407:
            return _credentials_advice(target, error)
        if error.status >= 500:
            return (
                "The proxy does not reach the server: is its name known there, and its port open?"
            )
        return (
            f"The proxy lets nobody through to port {target.address[1]} of this host: many"
            " allow 443 only, and some a list of hosts."
        )
    if isinstance(error, TLSFailed):
        return "The proxy is not who it should be, or speaks no TLS: is it http:, and not https:?"
    if isinstance(error, ConnectTimeout):
        return _silence_advice(target)
    return "What listens there does not answer as an HTTP proxy does: is the port right?"


def _silence_advice(target: Target) -> str:
    if target.proxy is not None and target.proxy.secure:
        return "The proxy does not answer TLS: is it http:, and not https:, or another port?"
    return "The proxy keeps silent: is that one, or does it speak TLS (https:)?"


def _credentials_advice(target: Target, refused: ProxyRefused) -> str:
    assert target.proxy is not None
    values = [value for name, value in refused.headers if name.lower() == b"proxy-authenticate"]
    schemes = [each.scheme for each in read_challenges(text(value) for value in values)]
    if not schemes:
        return (
            "The proxy answered 407 without a Proxy-Authenticate field, so it offers no"
            " authentication scheme: ask its operator which one it accepts."
        )
    if not {"basic", "digest"} & {*schemes}:
        offered = " and ".join(dict.fromkeys(map(shown_scheme, schemes)))
        way = "ask its operator for one of these."
        if {"ntlm", "negotiate"} & {*schemes}:
            way = "run a local proxy that speaks these (cntlm, px), and name it by --proxy."
        return f"The proxy offers {offered}, and Basic and Digest are spoken here: {way}"
    if target.proxy.credentials is None:
        return "The proxy wants to know who you are: --proxy http://NAME:PASSWORD@HOST:PORT"
    if "digest" not in schemes and not (target.proxyBasic or target.proxy.secure):
        return "The proxy takes passwords by Basic only: leave --no-proxy-basic out, or use https:."
    return "The proxy does not take this name with this password: are they percent-encoded?"


def _tls_advice(target: Target, finding: Finding) -> str:
    error, certificates = finding.error, finding.certificates
    if isinstance(error, CertificateExpired):
        return "The certificate's time is over, or has not begun: renew it, or look at the clock."
    if isinstance(error, CertificateForAnotherHost):
        names = (
            f": it is for {', '.join(certificates[0].names)}"
            if certificates and certificates[0].names
            else ""
        )
        return f"The certificate is another host's{names}. Use such a name in the URL."
    if isinstance(error, UnknownIssuer):
        return _issuer_advice(certificates) + _interception_advice(target)
    if isinstance(error, PeerLeft | ConnectTimeout):
        return "It does not answer TLS: is it ws: and not wss:, or another port?"
    return (
        "There is no TLS with it: is it ws: and not wss:, or another port, or does it want a"
        " client's certificate (--certificate)?"
    )


def _issuer_advice(certificates: Sequence[Link]) -> str:
    if certificates and certificates[-1].is_its_own_issuer:
        return (
            f"Its certificates rest on {certificates[-1].subject}, whom nobody here trusts: if you"
            " do, have its certificate in a file and say --trust-root FILE."
        )
    return (
        "Either the server does not send the certificates between its own and an authority's (have"
        " it send the full chain), or the authority is a private one: --trust-root FILE."
    )


def _interception_advice(target: Target) -> str:
    if target.proxy is None:
        return ""
    return (
        f" A proxy that reads TLS is likely: if {target.proxy} is your organization's, it has"
        " an authority of its own, whose certificate its people have."
    )


def _address_advice(stages: dict[str, Finding]) -> Iterator[str]:
    tcp = stages.get("tcp")
    if tcp is not None and tcp.works and tcp.error is not None:
        yield "Not every address of the name answers: clients lose time, or choose the wrong one."


def _certificate_advice(checks: Checks, stages: dict[str, Finding]) -> Iterator[str]:
    tls = stages.get("tls")
    if tls is None or not tls.works:
        return
    ends = [link.until for link in tls.certificates]
    if ends and checks.now <= min(ends) < checks.now + SOON:
        yield f"A certificate ends on {min(ends):%Y-%m-%d}: renew it."


def _dialect_advice(checks: Checks, stages: dict[str, Finding]) -> Iterator[str]:
    asked, answered = checks.dialect, [name for name in _NAMES if stages[name].works]
    if not answered:
        yield _refusal_advice(stages[asked].error)
        return
    best = answered[-1]
    yield f"It does not speak {asked}, but {' and '.join(answered)}: --dialect {best}"
    yield (
        "For clients that cannot, put a gateway before it: twistd -n hixie --port 8080 --serve"
        f" '/={checks.target.shown} dialect={best}'"
    )


def _refusal_advice(error: Exception | None) -> str:
    if isinstance(error, HandshakeRefused):
        if 300 <= error.status < 400:
            return "It is elsewhere now: take the URL that it points to, with ws: or wss:."
        return _REFUSALS.get(
            error.status, "The server answers, but no WebSocket: is the path right?"
        )
    if isinstance(error, TLSFailed):
        return "It ends TLS after all: does it want to know who we are (--certificate FILE)?"
    if isinstance(error, PeerLeft):
        return "It hangs up on every handshake: does it speak TLS (wss:), or another protocol?"
    if isinstance(error, ConnectTimeout):
        return "It answers no handshake: does it speak TLS (wss:), or another protocol?"
    return "What it answers is no WebSocket in any dialect."
