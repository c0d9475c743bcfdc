"""Lists of extensions with parameters in header fields (RFC 6455 section 9.1).

::

    extension-list = 1#( token *( ";" token [ "=" ( token | quoted-string ) ] ) )

A quoted value has to be a token without its quotes, so values are stored without quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

from ..errors import MalformedHead

Parameters: TypeAlias = tuple[tuple[str, str | None], ...]
"""Parameters in their order: ``(("client_max_window_bits", None), ("server_max_window_bits",
"10"))``."""

Named: TypeAlias = tuple[str, Parameters]
"""Name of an extension, and its parameters."""

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_EMPTY: Final = re.compile(r"[ \t]*(?:,|\Z)")
_NAME: Final = re.compile(rf"[ \t]*({_TOKEN})[ \t]*")
_PARAMETER: Final = re.compile(
    rf';[ \t]*({_TOKEN})[ \t]*(?:=[ \t]*(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")[ \t]*)?'
)


def read_list(values: Iterable[str]) -> tuple[Named, ...]:
    """
    Read a list of extensions from the values of one or several fields.

    :raises MalformedHead: for an invalid list.
    """
    text = ",".join(values)
    found: list[Named] = []
    position = 0
    while position < len(text):
        match = _NAME.match(text, position)
        if match is None:
            position = _skip_empty(text, position)
            continue
        parameters, position = _read_parameters(text, match.end())
        found.append((match[1], parameters))
        if position < len(text):
            if text[position] != ",":
                raise MalformedHead("invalid Sec-WebSocket-Extensions")
            position += 1
    return tuple(found)


def write_list(items: Iterable[Named]) -> str:
    """Return a list of extensions as the value of a field."""
    return ", ".join(
        "; ".join([name, *(key if value is None else f"{key}={value}" for key, value in given)])
        for name, given in items
    )


def _skip_empty(text: str, position: int) -> int:
    """Skip an empty member of a list, which is allowed (RFC 9110 section 5.6.1.2)."""
    match = _EMPTY.match(text, position)
    if match is None:
        raise MalformedHead("invalid Sec-WebSocket-Extensions")
    return match.end()


def _read_parameters(text: str, position: int) -> tuple[Parameters, int]:
    parameters: list[tuple[str, str | None]] = []
    while match := _PARAMETER.match(text, position):
        name, value, quoted = match.groups()
        if quoted is not None:
            value = re.sub(r"\\(.)", r"\1", quoted)
            if re.fullmatch(_TOKEN, value) is None:
                raise MalformedHead(
                    "invalid quoted parameter in Sec-WebSocket-Extensions: expected a token"
                )
        parameters.append((name, value))
        position = match.end()
    return tuple(parameters), position
