r"""Endpoint strings: ``ws:`` and ``wss:``, for every program that takes an endpoint's description.

What is connected is an ordinary byte protocol, inside messages (``byte_streams/stream.py``).
Keywords are Twisted's where Twisted has such a thing; a colon in a value is written ``\:``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint

from ..client.endpoint import WebSocketClientEndpoint
from ..sansio.dialects import named
from ..sansio.http.tunnel_answer import authority
from ..sansio.limits import Limits
from ..server.listen_queue import serverEndpoint
from .endpoint import StreamServerEndpoint, usualCoding
from .stream import StreamClientEndpoint


def parseWS(reactor: Any, host: str, port: str = "80", **words: str) -> IStreamClientEndpoint:
    """
    Read what follows ``ws:``, as in ``ws:example.com:8080:path=/chat:dialect=hixie-76``.

    :param words: those of :func:`_client` but for the files of TLS.
    """
    return _client(reactor, False, host, port, **words)


def parseWSS(
    reactor: Any,
    host: str,
    port: str = "443",
    certificate: str | None = None,
    privateKey: str | None = None,
    trustRoots: str | None = None,
    alpn: str = "",
    **words: str,
) -> IStreamClientEndpoint:
    """
    Read what follows ``wss:``.

    :param certificate: a PEM file that says who we are, for servers that ask.
    :param privateKey: a PEM file with its key, if that is not in the same file.
    :param trustRoots: a PEM file of certificates, or a directory of such, whose word is taken
        instead of the platform's authorities.
    :param alpn: protocols to offer by ALPN (RFC 7301), with commas between them; by default none.
    :param words: those of :func:`_client`.
    :raises ValueError: for a file that does not hold what it should.
    :raises OSError: for one that cannot be read.
    """
    from ..dialing.pem import certificateFromPaths, trustRootFromPath

    identity = None if certificate is None else certificateFromPaths(certificate, privateKey)
    trust = None if trustRoots is None else trustRootFromPath(trustRoots)
    return _client(reactor, True, host, port, identity, trust, _list(alpn), **words)


def _client(
    reactor: Any,
    secure: bool,
    host: str,
    port: str,
    clientCertificate: Any = None,
    trustRoot: Any = None,
    alpn: Sequence[str] = (),
    *,
    path: str = "/",
    dialect: str = "rfc6455",
    protocol: str = "",
    origin: str | None = None,
    cookie: str | None = None,
    user: str | None = None,
    password: str = "",
    coding: str | None = None,
    proxy: str | None = None,
    timeout: str | None = None,
    bindAddress: str | None = None,
) -> IStreamClientEndpoint:
    """
    A client's words.

    :param path: of the URL, and its query.
    :param dialect: which one is spoken.
    :param protocol: subprotocols to ask for, with commas between them.
    :param origin: of the page on whose behalf we connect.
    :param cookie: the value of that field.
    :param user: whom to be, by Basic authorization, with ``password``.
    :param coding: how bytes stand in messages, a name of
        :data:`txhixie.byte_streams.coding.CODINGS`; by default ``binary``, or ``base64`` in a
        dialect that has no binary.
    :param proxy: a proxy's URL, or ``environment``.
    :param timeout: seconds for each stage: lookup, TCP, proxy, TLS, handshake.
    :param bindAddress: our own end's address.
    :raises ValueError: saying which of them is wrong.
    """
    spoken = named(dialect)
    if coding == "binary" and not spoken.has_binary:
        raise ValueError(f"coding: {dialect} has no binary messages; say coding=base64")
    credentials = "" if user is None else f"{quote(user, '')}:{quote(password, '')}@"
    # Each part by itself: in one URL, a path that begins with "@" would be another host.
    if not path.startswith(("/", "?")):
        raise ValueError("path: it begins with a slash")
    if not (port.isascii() and port.isdigit()):
        raise ValueError("port: expected a number from 1 to 65535")
    endpoint = WebSocketClientEndpoint.new(
        reactor,
        f"{'wss' if secure else 'ws'}://{credentials}{authority(host, int(port))}{path}",
        proxy=proxy,
        trustRoot=trustRoot,
        clientCertificate=clientCertificate,
        alpn=alpn,
        bindAddress=bindAddress,
        dialect=dialect,
        origin=origin,
        headers=() if cookie is None else ((b"Cookie", cookie.encode()),),
        subprotocols=_list(protocol),
        limits=Limits() if timeout is None else Limits().with_stage_timeout(float(timeout)),
    )
    return StreamClientEndpoint(endpoint, coding or usualCoding(spoken))


def parseServer(reactor: Any, *endpoint: str, **words: str) -> IStreamServerEndpoint:
    r"""
    Read what follows ``ws:`` where somebody listens, as in ``ws:tcp\:8080:path=/x``.

    :param endpoint: the description of what listens; ``ssl\:443`` for ``wss:``.
    :param words: those of :func:`_server`.
    """
    # Twisted's quoteStringArgument leaves "=" as it is: then the description of what listens comes
    # to us as a keyword with colons in it, and its value.
    whole = [*endpoint, *(f"{key}={words[key]}" for key in words if ":" in key)]
    words = {key: word for key, word in words.items() if ":" not in key}
    return _server(reactor, *whole, **words)


def _server(
    reactor: Any,
    endpoint: str,
    *,
    path: str | None = None,
    protocol: str | None = None,
    coding: str | None = None,
    dialects: str | None = None,
    origins: str | None = None,
    hosts: str | None = None,
    secure: str | None = None,
) -> IStreamServerEndpoint:
    """
    A server's words.

    :param path: the one that is served; by default any.
    :param protocol: the subprotocol to agree on with clients that offer it.
    :param coding: how bytes stand in messages; by default as suits each client's dialect.
    :param dialects: those that are spoken, with commas between them; by default all.
    :param origins: pages that may connect, with commas between them; by default those of the same
        host.
    :param hosts: names this server is known under, with commas between them; by default any.
    :param secure: ``yes`` where TLS ends before us.
    :raises ValueError: saying which of them is wrong.
    """
    if secure not in (None, "yes", "no"):
        raise ValueError("secure: yes or no")
    return StreamServerEndpoint(
        serverEndpoint(reactor, endpoint),
        path=path,
        subprotocol=protocol,
        coding=coding,
        dialects=None if dialects is None else _list(dialects),
        origins=None if origins is None else _list(origins),
        hosts=None if hosts is None else _list(hosts),
        secure=None if secure is None else secure == "yes",
    )


def _list(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]
