"""The lines of a request, read without any check: it may be malformed or incomplete."""

from __future__ import annotations

import re
from typing import Final

from ...display import shown
from ...sansio.http.redaction import masked_host, masked_lines, masked_subprotocol, masked_text

_LINE: Final = re.compile(rb"([^\r\n]*)(\r\n|\r|\n|\Z)")
_MOST_LINES: Final = 200
_ORDINARY_END: Final = b"\r\n"


class HeadLines:
    """
    The lines of a request.

    :ivar start: the request line, redacted and without its version.
    :ivar count: number of header fields.
    """

    def __init__(self, data: bytes) -> None:
        """:param data: the head of a request, or its first bytes."""
        self._lines = _lines_of(data)
        words = self._lines[0][0].split(b" ") if self._lines else []
        target = b" ".join(words[1:-1]) or b"(no target)"
        start = b" ".join([words[0], target]) if len(words) > 2 else b" ".join(words)
        line = next(masked_lines(start + b" HTTP/1.1\r\n\r\n")) if start else ""
        self.start = line.removesuffix(" HTTP/1.1")
        self.count = sum(1 for line, _ in self._lines[1:] if line)

    def value(self, name: bytes) -> str | None:
        """Return the values of a field, joined by commas; ``None`` if the field is missing."""
        found = []
        for line, _ in self._lines[1:]:
            key, colon, value = line.partition(b":")
            if colon and key.strip().lower() == name:
                found.append(value.strip().decode("latin-1"))
        return ", ".join(found) if found else None

    def summary(self, dialect: str | None) -> str:
        """Describe the request in one line, with the fields that tell devices apart."""
        agent = self.value(b"user-agent")
        fields = "1 field" if self.count == 1 else f"{self.count} fields"
        parts = [self.start or "(empty line)", dialect]
        parts += [f"User-Agent {_text(agent)}" if agent else "no User-Agent", fields]
        return ", ".join(part for part in parts if part)

    def details(self) -> str:
        """Describe what the request offers: host, origin, subprotocols and extensions."""
        host, origin = self.value(b"host"), self.value(b"origin")
        offered = self.value(b"sec-websocket-protocol") or self.value(b"websocket-protocol")
        extensions = self.value(b"sec-websocket-extensions")
        parts = [f"Host {shown(masked_host(host))}" if host else "no Host"]
        parts += [f"Origin {_text(origin)}"] if origin is not None else []
        if offered:
            names = ", ".join(masked_subprotocol(name.strip()) for name in offered.split(","))
            parts.append(f"subprotocols {shown(names)}")
        parts.append(f"extensions {_text(extensions)}" if extensions else "no extensions")
        return "; ".join(parts)

    def recorded(self) -> list[str]:
        """
        Return the lines, redacted and in ASCII, for a recording.

        The end of a line is shown where it is another one than CR LF.
        """
        return [_redacted(line) + _shown_end(end) for line, end in self._lines]


def _lines_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """Split the lines of a head from their ends, from the request line to the empty line."""
    lines = []
    for match in _LINE.finditer(data.lstrip(b"\r\n")):
        line, end = match.groups()
        if line or end:
            lines.append((line, end))
        if not line or not end or len(lines) == _MOST_LINES:
            break
    return lines


def _redacted(line: bytes) -> str:
    if line[:1] in (b" ", b"\t"):
        return ascii(line[:1].decode("ascii"))[1:-1] + "..."  # a folded line may be a credential
    return next(masked_lines(line + b"\r\n\r\n"))


def _shown_end(end: bytes) -> str:
    if end == _ORDINARY_END:
        return ""
    return " [no line end]" if not end else f" [{ascii(end.decode('ascii'))[1:-1]}]"


def _text(value: str) -> str:
    return shown(masked_text(value)) or "(empty)"
