"""URLs of backends: by TCP, or by a UNIX socket (``ws://unix:/run/app.sock``, as nginx has it)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.interfaces import IStreamClientEndpoint

from ..dialing.dialer import Dialer
from ..dialing.unix_socket import UNIXSocketEndpoint
from ..sansio.arguments import whole_text
from ..sansio.http.url import WebSocketURL, parse_url
from ..server.port_check import check_backend

KEEP: Final = "keep"
"""Value of the option ``backend-host``: the ``Host`` of the client's request is passed on."""

_UNIX: Final = re.compile(r"([a-z]+)://(?:([^/?#]*)@)?unix:(/[^:?#]*)(?::(/.*))?")
_UNIX_START: Final = re.compile(r"[a-z]+://(?:[^/?#]*@)?unix:")
_PARTS: Final = re.compile(r"([a-z]+)://(?:([^/?#]*)@)?([^/?#]*)(.*)", re.DOTALL)
_UNIX_HOST: Final = "localhost"
"""Host of a backend at a UNIX socket, as nginx writes it."""

_WEBSOCKET: Final = {"http": "ws", "https": "wss"}


@dataclass(frozen=True)
class BackendURL:
    """
    URL of a backend.

    :ivar scheme: ``ws``, ``wss``, ``http`` or ``https``.
    :ivar userinfo: user name and password as they stand in the URL; empty without these.
    :ivar resource: path and query as they stand in the URL; empty for a URL without a path.
    :ivar parsed: the URL in the parts that a connection needs; its scheme is ``ws`` or ``wss``.
    :ivar socket: path of a UNIX socket; ``None`` for a backend that is connected by TCP.
    """

    scheme: str
    userinfo: str
    resource: str
    parsed: WebSocketURL
    socket: str | None = None

    @classmethod
    def read(cls, url: str, schemes: Sequence[str] = ("ws", "wss")) -> BackendURL:
        """
        Read the URL of a backend.

        :param url: ``SCHEME://HOST:PORT/PATH`` or ``SCHEME://unix:/SOCKET:/PATH``; the path is
            optional, and so are a user name and a password before the host.
        :param schemes: the schemes that the URL may have; the second one is by TLS.
        :raises ValueError: for an invalid URL. The text repeats no part that may be a password.
        :raises TypeError: for a URL that is not ``str``.
        """
        plain = whole_text("url", url).strip()
        scheme = plain.partition("://")[0].lower()
        if scheme not in schemes:
            expected = " or ".join(f"{each}:" for each in schemes)
            raise ValueError(f"scheme: expected {expected}; write {schemes[0]}://HOST:PORT/PATH")
        plain = scheme + plain[len(scheme) :]
        if _UNIX_START.match(plain):
            return cls._readUNIX(plain, schemes)
        parsed = parse_url(_WEBSOCKET.get(scheme, scheme) + plain[len(scheme) :])
        parts = _PARTS.fullmatch(plain)
        assert parts is not None
        return cls(scheme, parts[2] or "", parts[4], parsed)

    @classmethod
    def _readUNIX(cls, url: str, schemes: Sequence[str]) -> BackendURL:
        shape = f"{schemes[0]}://unix:/SOCKET or {schemes[0]}://unix:/SOCKET:/PATH"
        found = _UNIX.fullmatch(url)
        if found is None:
            raise ValueError(f"unix: expected {shape}")
        scheme, userinfo, path, resource = found.groups(default="")
        if scheme != schemes[0]:
            raise ValueError(f"unix: expected {shape}: a UNIX socket needs no TLS")
        check_backend(f"unix:{path}")
        before = f"{userinfo}@" if userinfo else ""
        parsed = parse_url(f"{_WEBSOCKET.get(scheme, scheme)}://{before}{_UNIX_HOST}{resource}")
        return cls(scheme, userinfo, resource, parsed, path)

    @property
    def shown(self) -> str:
        """The URL for log lines: without the user name, the password, the path and the query."""
        where = self.parsed.authority if self.socket is None else f"unix:{self.socket}"
        return f"{self.scheme}://{where}"

    def endpoint(self, reactor: Any, dialer: Dialer) -> IStreamClientEndpoint:
        """
        Return the endpoint that connects to the backend, by TLS for ``wss:`` and ``https:``.

        :raises ValueError: for an invalid proxy, and for a proxy before a UNIX socket.
        """
        if self.socket is None:
            return dialer.to(self.parsed)
        if dialer.proxy is not None:
            raise ValueError("proxy: expected no proxy for a backend at a UNIX socket")
        return UNIXSocketEndpoint(reactor, self.socket, limits=dialer.limits)

    def host(self, wanted: str | None, asked: str) -> str:
        """
        Return the ``Host`` of a request to the backend.

        :param wanted: the option ``backend-host``: :data:`KEEP`, a host, or ``None`` for that of
            the URL.
        :param asked: the ``Host`` of the client's request; empty for a request without it.
        """
        if wanted is None or (wanted == KEEP and not asked):
            return self.parsed.authority
        return asked if wanted == KEEP else wanted


def withoutPrefix(target: str, prefix: str) -> str:
    """
    Return the target of a request without the path of its route.

    The path is removed by its number of segments, since a client may have escaped characters in
    it: ``/%61pp/x`` is below the route ``/app``. The rest has one slash at its beginning: many
    backends read ``//example.com/x`` as a URL of another host, and would redirect a browser to it.

    :param target: path and query of the request, below the route.
    :param prefix: path of the route.
    """
    depth = prefix.removesuffix("/").count("/")
    path, mark, query = target.partition("?")
    rest = "/".join(path.split("/")[1 + depth :])
    return "/" + (rest.lstrip("/\\") if prefix else rest) + mark + query
