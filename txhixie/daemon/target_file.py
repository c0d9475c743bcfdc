"""Files of targets, in the format of websockify's plugin ``TokenFile``: ``TOKEN: HOST:PORT``."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final

LARGEST_FILE: Final = 64 << 20
"""Most bytes of one file: a million targets. A larger file is not one of targets."""

_SEPARATOR: Final = re.compile(r":\s+")
"""The end of a token in its line. A token may have colons itself."""

_PLACE: Final = re.compile(r"\[?([^\s\[\]\\/=]+?)\]?:([0-9]+)")
_NEXT: Final = re.compile(
    r"(?<!\s)\s++(?=(?:unix_socket|[a-z][a-z0-9+.-]*):|\[?[^\s\[\]\\/=]+\]?:[0-9]+(?:\s|$))"
)
"""Blanks before a further backend: one that begins with its scheme, or a host and its port."""

_UNIX: Final = "unix_socket:"
_SHAPE: Final = (
    "expected TOKEN: TARGET, with a target such as HOST:PORT, unix_socket:/PATH or ws://HOST:PORT"
)
_PARTS: Final = "expected TOKEN: TARGET, with a colon and a blank after the token"
_COMMENT: Final = "expected a comment in a line of its own, and no # after a target"


def read_file(path: Path) -> bytes:
    """
    Return the content of a regular file.

    :raises OSError: for a file that cannot be read.
    :raises ValueError: for a file that is not a regular file, such as a FIFO, at which the daemon
        would wait; and for a file of more than :data:`LARGEST_FILE`.
    """
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise ValueError("expected a regular file")
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError(f"expected a file of at most {LARGEST_FILE} bytes")
    return data.removeprefix(b"\xef\xbb\xbf")


def parse_targets(
    data: bytes, check: Callable[[str], object], name: str | None = None
) -> dict[str, str]:
    """
    Parse the content of a file of targets.

    Empty lines and lines that begin with ``#`` are skipped. If a token is in several lines, the
    last one counts, as in websockify.

    :param data: the content.
    :param check: is called with each target that is not only hosts and ports; raises ``ValueError``
        "expected ..." for a wrong one.
    :param name: the token of a file that has a target and no token, as for the plugin
        ``TokenFileName``; ``None`` where each line needs a token.
    :return: descriptions of services by the tokens.
    :raises ValueError: "line ...: expected ..." for a wrong line. The error does not have the
        token, which may be a secret.
    """
    found: dict[str, str] = {}
    alone: int | None = None  # the line with a target and no token
    for number, raw in enumerate(data.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith(b"#"):
            continue
        try:
            if alone is not None:
                raise ValueError(f"expected no further line, since line {alone} has no token")
            token, target = _split(line)
            if token is None:
                if name is None or found:
                    raise ValueError(_PARTS if ":" in target else _SHAPE)
                token, alone = name, number
            found[token] = parse_target(target, check)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return found


def _split(line: bytes) -> tuple[str | None, str]:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("expected UTF-8") from None
    token, *target = _SEPARATOR.split(text, maxsplit=1)
    if not target:
        return None, text
    if not token.strip():
        raise ValueError(_SHAPE)
    return token.strip(), target[0]


def parse_target(text: str, check: Callable[[str], object]) -> str:
    """
    Return the description of a service for a target.

    :param text: one or several backends with blanks between them, each ``HOST:PORT``,
        ``unix_socket:/PATH``, or the description of a backend.
    :param check: as for :func:`parse_targets`; gets all backends of the target.
    :raises ValueError: "expected ..." for another text, and for a port outside 1 to 65535.
    """
    backends = _NEXT.split(text)
    places = [_place(each) for each in backends]
    made = " ".join(place or _described(each) for place, each in zip(places, backends, strict=True))
    if not all(places):
        try:
            check(made)
        except ValueError:
            if re.search(r"\s#", text):
                raise ValueError(_COMMENT) from None
            raise
    return made


def _place(backend: str) -> str | None:
    """Return the description of a host and its port, or ``None`` for another backend."""
    found = _PLACE.fullmatch(backend)
    if found is None or not _is_host(host := found[1]):
        return None
    if not 1 <= int(found[2][:6]) <= 65535:
        raise ValueError(f"expected a port from 1 to 65535, not {found[2][:6]}")
    return f"tcp:{host.replace(':', chr(92) + ':')}:{int(found[2])}"


def _described(backend: str) -> str:
    if ":" not in backend:
        raise ValueError(_SHAPE)
    if backend.startswith(_UNIX):
        return f"unix:{backend.removeprefix(_UNIX)}"
    return backend


def _is_host(text: str) -> bool:
    """Whether a text is a host: a name, an IPv4 address, or an IPv6 address."""
    if ":" not in text:
        return True
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def is_unfinished(data: bytes) -> bool:
    """Whether the last line has no end, so that a program may be about to write the rest of it."""
    return bool(data) and data[-1:] not in b"\r\n"


def without_last_line(data: bytes) -> bytes:
    """Return the content of a file without its last line."""
    return data[: max(data.rfind(b"\n"), data.rfind(b"\r")) + 1]


def merged(files: Mapping[Path, Mapping[str, str]]) -> dict[str, str]:
    """
    Return the targets of several files.

    If a token is in several files, the last one in the order of their names counts.
    """
    found: dict[str, str] = {}
    for path in sorted(files):
        found.update(files[path])
    return found
