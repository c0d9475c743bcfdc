"""Plain requests of RFC 6455 and hixie-76, which the optional module ``_request`` reads in C.

A browser's request takes 13 us where ``http/head.py``, ``dialects.py`` and ``handshake/`` read it,
and 3 us here. A request that breaks a rule, repeats a field, or comes in several reads is not
plain: it is left to these files, and so are the words of all errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, TypeAlias

from .compiled import compiled_module
from .dialects import Dialect, named, spoken_by_version
from .errors import MalformedHead
from .handshake.hybi import read_subprotocols
from .handshake.offer import Offer
from .http.head import Head, read_authority, text, visible
from .http.parameters import Named, read_list
from .limits import Limits

Found: TypeAlias = "tuple[int, str, bytes, bytes | None, bytes, bytes | None, bytes | None]"
"""A plain request: the size of its head, its target, and the values of Host, Origin,
Sec-WebSocket-Key, -Protocol and -Extensions. For hixie-76 eight bytes with the numbers of both keys
are in the place of Sec-WebSocket-Key."""

ReadUpgrade: TypeAlias = Callable[[bytes, int, int], "Found | None"]

_COMPILED = compiled_module("txhixie.sansio.http._request")
READ_UPGRADE: Final[ReadUpgrade | None] = None if _COMPILED is None else _COMPILED.read_upgrade
"""The function in C; ``None`` without it."""

_KEYED: Final = named("hixie-76")
_MODERN: Final = named("rfc6455")

_NUMBERS: Final = 8
"""Size of the numbers of both keys of hixie-76. A plain key of RFC 6455 has 24 characters."""

_MOST_SHARED: Final = 128
"""Most bytes of a list of extensions that is kept in a cache: browsers send the same few of them,
and parsing takes 2 us. A long list could have 50 times its size in parameters."""


def read_plain(
    data: bytes,
    limits: Limits,
    spoken: Iterable[Dialect],
    secure: bool,
    read: ReadUpgrade | None = READ_UPGRADE,
) -> tuple[Dialect, Offer, bytes] | None:
    """
    Read a request that is plain.

    :param data: the first bytes of a connection.
    :param limits: the limits of the connection; ``head_size`` and ``head_fields`` are used.
    :param spoken: the dialects that the server accepts.
    :param secure: whether the client uses TLS.
    :param read: the function in C.
    :return: the dialect, the offer, and the bytes after the head; ``None`` for any other request.
    """
    found = None if read is None else read(data, limits.head_size, limits.head_fields)
    if found is None:
        return None
    size, target, host, origin, challenge, protocol, extensions = found
    modern, keyed = _rows(tuple(spoken))
    dialect = keyed if len(challenge) == _NUMBERS else modern
    if dialect is None:
        return None
    try:
        offer = Offer(
            dialect.name,
            target,
            read_authority(host),
            None if origin is None else visible(b"origin", origin),
            secure,
            () if protocol is None else read_subprotocols((protocol,)),
            () if extensions is None else _extensions(extensions),
            Head(data[:size]),
            challenge,
        )
    except MalformedHead:
        return None
    return dialect, offer, data[size:]


def _extensions(value: bytes) -> tuple[Named, ...]:
    if len(value) <= _MOST_SHARED:
        return _shared_extensions(value)
    return read_list((text(value),))


@lru_cache(maxsize=64)
def _shared_extensions(value: bytes) -> tuple[Named, ...]:
    return read_list((text(value),))


@lru_cache(maxsize=8)
def _rows(spoken: tuple[Dialect, ...]) -> tuple[Dialect | None, Dialect | None]:
    """Return the rows of RFC 6455 and hixie-76 that a server accepts; ``None`` for each other."""
    modern = _MODERN if spoken_by_version(spoken).get(b"13") is _MODERN else None
    return modern, _KEYED if _KEYED in spoken else None
