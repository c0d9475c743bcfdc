r"""Endpoint descriptions ``ws:`` and ``wss:``, for programs that take an endpoint description.

These endpoints connect ordinary byte protocols over WebSocket (``byte_streams/stream.py``).
Keywords have the names of Twisted's own where these exist; a colon in a value is written ``\:``.
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
    Parse a client description such as ``ws:example.com:8080:path=/chat:dialect=hixie-76``.

    :param words: keywords of :func:`makeClient`, without those for TLS.
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
    Parse a client description with ``wss:``.

    :param certificate: the client certificate, a PEM file.
    :param privateKey: its private key, a PEM file; by default the key is read from the file of the
        certificate.
    :param trustRoot: trusted certificates, a PEM file or a directory of such files; by default the
        platform's CA certificates.
    :param alpn: protocols to offer by ALPN (RFC 7301), separated by commas; by default none.
    :param words: keywords of :func:`makeClient`.
    :raises ValueError: for a file with other content.
    :raises OSError: for a file that cannot be read.
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
    Build the client endpoint of a description.

    :param path: path and query of the URL.
    :param dialect: the dialect of the handshake.
    :param subprotocols: subprotocols to offer, separated by commas, the preferred one first.
    :param origin: the value of the ``Origin`` header field.
    :param header: a further header field of the request, ``NAME: VALUE``; several with line feeds
        between them.
    :param user: the user name of Basic authorization (RFC 7617), with ``password``.
    :param coding: coding of the messages, a name of
        :data:`txhixie.byte_streams.coding.CODINGS`; by default ``binary``, or ``base64`` in a
        dialect without binary messages.
    :param proxy: URL of a proxy, or ``environment``.
    :param timeout: seconds for each stage: lookup, TCP, proxy, TLS, handshake.
    :param messageSize: the most bytes of one message, ``Limits.message_size``.
    :param compression: ``no`` to offer no compression.
    :param bindAddress: the local address to connect from.
    :raises ValueError: for an invalid keyword; the text names the keyword.
    """
    spoken = named(dialect)
    if coding == "binary" and not spoken.has_binary:
        raise ValueError(f"coding: {dialect} has no binary messages; write coding=base64")
    credentials = "" if user is None else f"{quote(user, '')}:{quote(password, '')}@"
    endpoint = WebSocketClientEndpoint.new(
        reactor,
        _url(secure, credentials, host, port, path),
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


def _url(secure: bool, credentials: str, host: str, port: str, path: str) -> str:
    """
    Return the URL of a description.

    :raises ValueError: for an invalid port or path.
    """
    # Each part is checked by itself: in one URL, a path that begins with "@" would set the host.
    if not path.startswith(("/", "?")):
        raise ValueError("path: expected a path that begins with a slash")
    if not (port.isascii() and port.isdigit()):
        raise ValueError("port: expected a number from 1 to 65535")
    return f"{'wss' if secure else 'ws'}://{credentials}{authority(host, int(port))}{path}"


def parseServer(reactor: Any, *endpoint: str, **words: str) -> IStreamServerEndpoint:
    r"""
    Parse a server description such as ``ws:tcp\:8080:path=/x``.

    :param endpoint: description of the endpoint that listens; ``ssl\:443`` for ``wss:``.
    :param words: keywords of :func:`makeServer`.
    """
    # Twisted's quoteStringArgument does not quote "=": then a part of the endpoint's description is
    # passed as a keyword that contains colons, with its value.
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
    quirks: str = "",
    secure: str | None = None,
    messageSize: str | None = None,
    compression: str = "yes",
) -> IStreamServerEndpoint:
    """
    Build the server endpoint of a description.

    :param path: the path that is served; by default any path.
    :param subprotocols: the subprotocols to choose from, separated by commas: the first of
        them that the client offers.
    :param coding: coding of the messages; by default that of each client's dialect.
    :param dialects: dialects to accept, separated by commas; by default all.
    :param origins: origins of pages that may connect, separated by commas; by default the server's
        own host.
    :param hosts: host names of this server, separated by commas; by default any.
    :param quirks: deviations of old devices to let in, by their words, separated by commas; by
        default none.
    :param secure: ``yes`` where a reverse proxy terminates TLS.
    :param messageSize: the most bytes of one message, ``Limits.message_size``.
    :param compression: ``no`` to agree on none.
    :raises ValueError: for an invalid keyword; the text names the keyword.
    """
    return StreamServerEndpoint(
        serverEndpoint(reactor, endpoint),
        path=path,
        subprotocols=_list(subprotocols),
        coding=coding,
        dialects=None if dialects is None else _list(dialects),
        origins=None if origins is None else _list(origins),
        hosts=None if hosts is None else _list(hosts),
        quirks=_list(quirks),
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
