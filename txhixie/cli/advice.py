"""Advice of ``txhixie doctor`` about the findings of its checks."""

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

_OTHER_PROTOCOL: Final = "use wss:// if the server speaks TLS, or check the port."

_REFUSALS: Final = {
    200: "The server answered with a web page: there is no WebSocket at this path, or a reverse"
    " proxy does not pass the Upgrade header field on.",
    401: "The server requires authentication: put NAME:PASSWORD@ into the URL, or a token into"
    " --header 'Authorization: ...'.",
    403: "The server refuses this client: it may require an --origin, a cookie, credentials or a"
    " client certificate (--certificate FILE).",
    404: "The server has nothing at this path: check the path of the URL.",
    426: "The server requires another dialect, or another version of the protocol.",
    502: "A reverse proxy or gateway cannot reach its backend: check that the backend is running."
    " The log has the reason; the event of a txhixie daemon is backend-down.",
    503: "A reverse proxy cannot reach its backend, or the server is overloaded or stops.",
    504: "A reverse proxy or gateway got no response from its backend in time: check the backend."
    " The log has the reason; the event of a txhixie daemon is backend-down.",
}


def advice_for(checks: Checks, findings: Sequence[Finding]) -> Iterator[str]:
    """Yield advice as sentences, at least one, the most urgent first."""
    stages = {finding.stage: finding for finding in findings}
    broken = [each for each in findings if each.works is False and each.stage not in _NAMES]
    asked = stages.get(checks.dialect)
    alpn = stages.get("alpn")
    if alpn is not None and (asked is None or isinstance(asked.error, _NO_ANSWER)):
        yield _wanted_alpn(checks.target)  # with other ALPN the handshake is answered
        return
    for finding in broken:
        yield from _stage_advice(checks.target, finding)
    if asked is not None and not asked.works:
        yield from _dialect_advice(checks, stages)
    yield from _certificate_advice(checks, stages)
    yield from _address_advice(stages)
    if asked is not None and asked.works and not broken:
        dialect = f" --dialect {asked.stage}" if asked.stage != "rfc6455" else ""
        target = checks.target
        yield f"The connection works: txhixie connect{dialect}{target.options} {target.shown}"
        yield from _origin_advice(stages)


def _wanted_alpn(target: Target) -> str:
    if target.alpn:
        return "The server refuses the protocols that --alpn offers: omit --alpn."
    return f"The server accepts only clients that offer ALPN: use --alpn {ALPN[0]}"


def _alpn_advice(target: Target) -> str:
    if target.alpn:
        return (
            "The server refuses clients without ALPN: most clients other than browsers offer none."
        )
    return (
        "The server refuses clients that offer ALPN, as browsers and curl do: configure the server"
        f" to accept {ALPN[0]}. With Twisted 26.10, make the server's factory an"
        " IProtocolNegotiationFactory."
    )


def _stage_advice(target: Target, finding: Finding) -> Iterator[str]:
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
            "The server does not answer pings: a client that sends keepalive pings will close the"
            " connection."
        )


def _lookup_advice(target: Target, error: Exception | None) -> Iterator[str]:
    if isinstance(error, LookupFailed):
        yield "The host name was not found: check its spelling, and the DNS server of this machine."
    else:
        yield "The DNS server did not respond."
    if target.proxy is None:
        yield "If only a proxy can look up this name, use --proxy http://HOST:PORT"


def _tcp_advice(target: Target, error: Exception | None) -> Iterator[str]:
    what = "proxy" if target.proxy is not None else "server"
    if isinstance(error, ConnectFailed) and "refused" in str(error.__cause__):
        yield f"Nothing listens at this address and port: check that the {what} is running."
        return
    yield f"The {what} cannot be reached: a firewall may drop the packets."
    if target.proxy is None:
        yield "If this network has an HTTP proxy, use --proxy http://HOST:PORT"


def _proxy_advice(target: Target, error: Exception | None) -> str:
    if isinstance(error, ProxyRefused):
        if error.status == 407:
            return _credentials_advice(target, error)
        if error.status >= 500:
            return (
                "The proxy cannot reach the server: check that the proxy can look up the server's"
                " name, and that the server's port is open."
            )
        return (
            f"The proxy does not allow port {target.address[1]} of this host: many proxies allow"
            " port 443 only, and some only the hosts of a list."
        )
    if isinstance(error, TLSFailed):
        return (
            "The TLS handshake with the proxy failed: check the proxy's certificate (--trust-root"
            " FILE for a private CA), or use http:// if the proxy does not speak TLS."
        )
    if isinstance(error, ConnectTimeout):
        return _silence_advice(target)
    return "The server at this address is not an HTTP proxy: check the port of --proxy."


def _silence_advice(target: Target) -> str:
    if target.proxy is not None and target.proxy.secure:
        return "The proxy did not answer the TLS handshake: use http://, or check its port."
    return "The proxy did not respond. Is it an HTTP proxy? If it expects TLS, use https://."


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
        hint = "ask its operator for one of these two."
        if {"ntlm", "negotiate"} & {*schemes}:
            hint = "run a local proxy that speaks them (cntlm, px), and use --proxy for that one."
        return f"The proxy offers {offered}; txhixie supports Basic and Digest: {hint}"
    if target.proxy.credentials is None:
        return "The proxy requires authentication: use --proxy http://NAME:PASSWORD@HOST:PORT"
    if "digest" not in schemes and not (target.proxyBasic or target.proxy.secure):
        return (
            "The proxy accepts Basic authentication only: omit --no-proxy-basic, or use https://."
        )
    return (
        "Check the user name and the password: the proxy rejected them. Reserved characters in them"
        " have to be percent-encoded."
    )


def _tls_advice(target: Target, finding: Finding) -> str:
    error, certificates = finding.error, finding.certificates
    if isinstance(error, CertificateExpired):
        return "The certificate is expired or not yet valid: renew it, or correct the clock."
    if isinstance(error, CertificateForAnotherHost):
        names = (
            f" but for {', '.join(certificates[0].names)}"
            if certificates and certificates[0].names
            else ""
        )
        return f"The certificate is not for this host{names}: use its name in the URL."
    if isinstance(error, UnknownIssuer):
        return _issuer_advice(certificates) + _interception_advice(target)
    if isinstance(error, PeerLeft | ConnectTimeout):
        return "The server did not answer the TLS handshake: use ws://, or check the port."
    return (
        "The TLS handshake failed: use ws:// if the server does not speak TLS, check the port, or"
        " give a client certificate if the server requires one (--certificate FILE)."
    )


def _issuer_advice(certificates: Sequence[Link]) -> str:
    if certificates and certificates[-1].is_its_own_issuer:
        return (
            "The certificate is not signed by a trusted CA. If you trust the issuer,"
            f" {certificates[-1].subject}, save the issuer's certificate and use --trust-root FILE."
        )
    return (
        "The server does not send the intermediate certificates (configure the full chain), or its"
        " certificate is signed by a private CA (use --trust-root FILE)."
    )


def _interception_advice(target: Target) -> str:
    if target.proxy is None:
        return ""
    return (
        f" The proxy may decrypt TLS: if {target.proxy} is your organisation's, ask its operator"
        " for the certificate of its CA."
    )


def _address_advice(stages: dict[str, Finding]) -> Iterator[str]:
    tcp = stages.get("tcp")
    if tcp is not None and tcp.works and tcp.error is not None:
        yield "Not every address of the host answers: clients lose time, or choose a wrong one."


def _certificate_advice(checks: Checks, stages: dict[str, Finding]) -> Iterator[str]:
    tls = stages.get("tls")
    if tls is None or not tls.works:
        return
    ends = [link.until for link in tls.certificates]
    if ends and checks.now <= min(ends) < checks.now + SOON:
        yield f"A certificate expires on {min(ends):%Y-%m-%d}: renew it."


def _origin_advice(stages: dict[str, Finding]) -> Iterator[str]:
    forbidden = [name for name in _NAMES if _is_forbidden(stages[name].error)]
    if forbidden:
        yield (
            f"The server answers 403 to {', '.join(forbidden)}: in the Hixie dialects the handshake"
            " has an Origin. Use an --origin that the server accepts; at a gateway, see"
            " backend-host."
        )


def _is_forbidden(error: Exception | None) -> bool:
    return isinstance(error, HandshakeRefused) and error.status == 403


def _dialect_advice(checks: Checks, stages: dict[str, Finding]) -> Iterator[str]:
    asked, answered = checks.dialect, [name for name in _NAMES if stages[name].works]
    if not answered:
        yield _refusal_advice(stages[asked].error)
        return
    best = answered[-1]
    yield f"The server speaks {' and '.join(answered)}, not {asked}: use --dialect {best}"
    yield (
        "For clients that speak another dialect, run a gateway: twistd -n hixie --port 8080 --serve"
        f" '/={checks.target.shown} dialect={best}'"
    )


def _refusal_advice(error: Exception | None) -> str:
    if isinstance(error, HandshakeRefused):
        if 300 <= error.status < 400:
            return "The server redirects to another URL: use that URL, with ws:// or wss://."
        return _REFUSALS.get(
            error.status, "The server opens no WebSocket at this path: check the path of the URL."
        )
    if isinstance(error, TLSFailed):
        return "The server ended TLS: it may require a client certificate (--certificate FILE)."
    if isinstance(error, PeerLeft):
        return f"The server closes the connection during every handshake: {_OTHER_PROTOCOL}"
    if isinstance(error, ConnectTimeout):
        return f"The server does not answer the handshake: {_OTHER_PROTOCOL}"
    return "The server's response is not a WebSocket handshake response of any dialect."
