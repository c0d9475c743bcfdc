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
from ..sansio.extensions import CLIENT_EXTENSIONS, DEFAULT_EXTENSIONS
from ..sansio.http.head import read_header
from ..sansio.http.tunnel_answer import authority
from ..sansio.limits import Limits
from ..server.listen_queue import serverEndpoint
from .endpoint import StreamServerEndpoint, usualCoding
from .stream import StreamClientEndpoint


def parseWS(reactor: Any, host: str, port: str = "80", **words: str) -> IStreamClientEndpoint:
    """
    Read what follows ``ws:``, as in ``ws:example.com:8080:path=/chat:dialect=hixie-76``.

    :param words: those of :func:`makeClient` but for the files of TLS.
    """
    return makeClient(reactor, False, host, port, **words)


def parseWSS(
    reactor: Any,
    host: str,
    port: str = "443",
    certificate: str | None = None,
    privateKey: str | None = None,
    trustRoot: str | None = None,
    alpn: str = "",
    **words: str,
) -> IStreamClientEndpoint:
    """
    Read what follows ``wss:``.

    :param certificate: the client certificate, a PEM file.
    :param privateKey: its private key, a PEM file; by default the key is read from the file of the
        certificate.
    :param trustRoot: trusted certificates, a PEM file or a directory of such files; by default the
        platform's CA certificates.
    :param alpn: protocols to offer by ALPN (RFC 7301), with commas between them; by default none.
    :param words: those of :func:`makeClient`.
    :raises ValueError: for a file that does not hold what it should.
    :raises OSError: for one that cannot be read.
    """
    from ..dialing.pem import certificateFromPaths, trustRootFromPath

    identity = None if certificate is None else certificateFromPaths(certificate, privateKey)
    trust = None if trustRoot is None else trustRootFromPath(trustRoot)
    return makeClient(reactor, True, host, port, identity, trust, _list(alpn), **words)


def makeClient(
    reactor: Any,
    secure: bool,
    host: str,
    port: str,
    certificate: Any = None,
    trustRoot: Any = None,
    alpn: Sequence[str] = (),
    *,
    path: str = "/",
    dialect: str = "rfc6455",
    subprotocols: str = "",
    origin: str | None = None,
    header: str = "",
    user: str | None = None,
    password: str = "",
    coding: str | None = None,
    proxy: str | None = None,
    timeout: str | None = None,
    messageSize: str | None = None,
    compression: str = "yes",
    bindAddress: str | None = None,
) -> IStreamClientEndpoint:
    """
    A client's words.

    :param path: of the URL, and its query.
    :param dialect: which one is spoken.
    :param subprotocols: subprotocols to offer, with commas between them, the preferred one first.
    :param origin: the value of the ``Origin`` header field.
    :param header: a further header field of the request, ``NAME: VALUE``; several with line feeds
        between them.
    :param user: the user name of Basic authorization (RFC 7617), with ``password``.
    :param coding: how bytes stand in messages, a name of
        :data:`txhixie.byte_streams.coding.CODINGS`; by default ``binary``, or ``base64`` in a
        dialect that has no binary.
    :param proxy: a proxy's URL, or ``environment``.
    :param timeout: seconds for each stage: lookup, TCP, proxy, TLS, handshake.
    :param messageSize: the most bytes of one message, ``Limits.message_size``.
    :param compression: ``no`` to offer none.
    :param bindAddress: the local address to connect from.
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
        certificate=certificate,
        alpn=alpn,
        bindAddress=bindAddress,
        dialect=dialect,
        origin=origin,
        headers=[read_header(line) for line in header.splitlines()],
        subprotocols=_list(subprotocols),
        extensions=CLIENT_EXTENSIONS if _yes("compression", compression) else (),
        limits=_limits(messageSize),
        timeout=None if timeout is None else float(timeout),
    )
    return StreamClientEndpoint(endpoint, coding or usualCoding(spoken))


def parseServer(reactor: Any, *endpoint: str, **words: str) -> IStreamServerEndpoint:
    r"""
    Read what follows ``ws:`` where somebody listens, as in ``ws:tcp\:8080:path=/x``.

    :param endpoint: the description of what listens; ``ssl\:443`` for ``wss:``.
    :param words: those of :func:`makeServer`.
    """
    # Twisted's quoteStringArgument leaves "=" as it is: then the description of what listens comes
    # to us as a keyword with colons in it, and its value.
    whole = [*endpoint, *(f"{key}={words[key]}" for key in words if ":" in key)]
    words = {key: word for key, word in words.items() if ":" not in key}
    return makeServer(reactor, *whole, **words)


def makeServer(
    reactor: Any,
    endpoint: str,
    *,
    path: str | None = None,
    subprotocols: str = "",
    coding: str | None = None,
    dialects: str | None = None,
    origins: str | None = None,
    hosts: str | None = None,
    secure: str | None = None,
    messageSize: str | None = None,
    compression: str = "yes",
) -> IStreamServerEndpoint:
    """
    A server's words.

    :param path: the one that is served; by default any.
    :param subprotocols: the subprotocols to choose from, with commas between them: the first of
        them that the client offers.
    :param coding: how bytes stand in messages; by default as suits each client's dialect.
    :param dialects: those that are spoken, with commas between them; by default all.
    :param origins: pages that may connect, with commas between them; by default those of the same
        host.
    :param hosts: names this server is known under, with commas between them; by default any.
    :param secure: ``yes`` where a reverse proxy terminates TLS.
    :param messageSize: the most bytes of one message, ``Limits.message_size``.
    :param compression: ``no`` to agree on none.
    :raises ValueError: saying which of them is wrong.
    """
    return StreamServerEndpoint(
        serverEndpoint(reactor, endpoint),
        path=path,
        subprotocols=_list(subprotocols),
        coding=coding,
        dialects=None if dialects is None else _list(dialects),
        origins=None if origins is None else _list(origins),
        hosts=None if hosts is None else _list(hosts),
        secure=None if secure is None else _yes("secure", secure),
        extensions=DEFAULT_EXTENSIONS if _yes("compression", compression) else (),
        limits=_limits(messageSize),
    )


def _limits(messageSize: str | None) -> Limits:
    if messageSize is None:
        return Limits()
    if not (messageSize.isascii() and messageSize.isdigit()):
        raise ValueError("messageSize: expected a number of bytes")
    return Limits(message_size=int(messageSize))


def _yes(name: str, word: str) -> bool:
    if word not in ("yes", "no"):
        raise ValueError(f"{name}: expected yes or no")
    return word == "yes"


def _list(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]
