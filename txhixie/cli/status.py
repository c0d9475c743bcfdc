"""The end of a command: an exit status for scripts, and a line on standard error for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum
from html import unescape
from pathlib import Path
from traceback import extract_tb
from typing import Final

from ..dialing.errors import ConnectTimeout, TLSFailed
from ..display import shown, shown_url
from ..interfaces import AbruptClose, CleanClose
from ..sansio.closing import Ended
from ..sansio.errors import HandshakeRefused, HixieError, InvalidHandshake, ProxyRefused
from ..sansio.http.head import reason_phrase
from ..sansio.wire.frame import CloseCode


class Status(IntEnum):
    """
    Exit statuses of the commands.

    A command that is ended by a signal has the status 128 plus the number of the signal, as in a
    shell: 130 after Control-C.
    """

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    PROXY = 4
    TLS = 5
    LATE = 6


_KINDS: Final[tuple[tuple[type[Exception], Status], ...]] = (
    (ConnectTimeout, Status.LATE),
    (ProxyRefused, Status.PROXY),
    (HandshakeRefused, Status.REFUSED),
    (TLSFailed, Status.TLS),
)
_TITLE: Final = re.compile(r"<title[^>]{0,200}>([^<]{1,500})</title", re.IGNORECASE)
_MOST_TEXT: Final = 1000
"""Characters between two tags of a page that are read: more than a line of the log shows."""

_STAGES: Final = {"proxy": Status.PROXY, "tls": Status.TLS}


class CommandFailed(Exception):
    """
    An error that ends a command.

    :ivar status: the exit status.
    :ivar line: the line for standard error; empty for none.
    """

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status
        self.line = line


def status_of(error: Exception) -> int:
    """The exit status of a command that an error has ended."""
    if isinstance(error, CommandFailed):
        return error.status
    for kind, status in _KINDS:
        if isinstance(error, kind):
            return status
    return _STAGES.get(getattr(error, "stage", ""), Status.FAILED)


def line_of(error: Exception, why: str = "") -> str:
    """
    Describe an error in one line.

    :param why: the reason of a refusal, where the caller knows more than the response says.
    """
    if isinstance(error, HandshakeRefused):
        return _refusal(error, why)
    if isinstance(error, InvalidHandshake):
        return f"invalid handshake response: {error}"
    if isinstance(error, CleanClose | AbruptClose):
        return closing_line(error.ended)
    if isinstance(error, HixieError | CommandFailed):
        return str(error)
    words = f"{type(error).__name__}: {shown(str(error))}{_place(error)}"
    return f"internal error, please report it: {words}"


def _place(error: Exception) -> str:
    """The file and line that raised an error, for a report without a traceback."""
    frames = extract_tb(error.__traceback__)
    return f", in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""


_ORDINARY: Final = (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD)


def is_ordinary(ended: Ended) -> bool:
    """Whether a close code says that the connection ended in good order."""
    return ended.code in _ORDINARY


def closed_by(ended: Ended) -> str | None:
    """``server`` or ``client``, which sent the close code; ``None`` for a lost connection."""
    if ended.code == CloseCode.ABNORMAL_CLOSURE:
        return None
    # A server that breaks the protocol causes the close; the client sends the close code.
    return "server" if ended.who == "peer" and ended.clean else "client"


def closing_line(ended: Ended) -> str:
    """Say in a line which side closed a connection, with the close code and the reason."""
    by = closed_by(ended)
    if by is None:
        return f"connection lost: {ending(ended)}"
    if by == "server":
        return f"closed by the server: {ending(ended)}"
    because = " because of an error of the server" if ended.who == "peer" else ""
    return f"closed{because}: {ending(ended)}"


def ending(close: CleanClose | AbruptClose | Ended) -> str:
    """Show a close code, and the reason if there is one."""
    return f"{close.code}: {shown(close.reason)}" if close.reason else str(int(close.code))


def _refusal(refused: HandshakeRefused, why: str) -> str:
    who = "proxy" if isinstance(refused, ProxyRefused) else "server"
    phrase = reason_phrase(refused.status)
    line = f"the {who} refused with status {refused.status} {phrase}".rstrip()
    fields = {name.lower(): value.decode("latin-1") for name, value in refused.headers}
    if 300 <= refused.status < 400 and (location := fields.get(b"location")):
        return f"{line}, and points to {shown_url(location)}"
    asked = fields.get(b"www-authenticate")
    if not why and refused.status == 401 and asked:
        scheme = shown(asked.split(" ")[0])
        why = f"the server asks for {scheme}; {_credentials(scheme)}"
    why = why or getattr(refused, "why", "")
    words = _words(refused.body, fields)
    return f"{line}{why and f': {why}'}{words and f'; the {who} says: {words}'}"


def _credentials(scheme: str) -> str:
    """Say how to send credentials of an authentication scheme."""
    if scheme.lower() == "basic":
        return "put NAME:PASSWORD@ into the URL"
    return f"add --header 'Authorization: {scheme} ...'"


def _words(body: bytes, fields: Mapping[bytes, str]) -> str:
    """
    The words of a refusal: the first line of a body that is text, the title of an HTML page, or the
    first text of a page without a title; empty for a body without text.
    """
    if fields.get(b"content-encoding", "identity").lower() != "identity":
        return ""
    text = body.decode("utf-8", "replace")
    if "html" in fields.get(b"content-type", "").lower() or text.lstrip()[:1] == "<":
        title = _TITLE.search(text)
        return shown((title and _plain(title[1])) or _first_text(text))
    lines = (line.strip() for line in text.splitlines())
    return shown(next(filter(None, lines), ""))


def _first_text(page: str) -> str:
    """The first text of a page that a browser shows; takes time in proportion to the page."""
    begin, *commented = page.split("<!--")
    page = begin + "".join(rest.partition("-->")[2] for rest in commented)
    begin, *tagged = page.split("<")
    unseen = ""
    for part in (f">{begin}", *tagged):
        tag, _, text = part.partition(">")
        name = tag.split(maxsplit=1)[0].lower() if tag.strip() else ""
        if unseen:
            unseen = "" if name == f"/{unseen}" else unseen
        elif name in ("script", "style", "title"):
            unseen = name
        if not unseen and (plain := _plain(text[:_MOST_TEXT])):
            return plain
    return ""


def _plain(text: str) -> str:
    """The text of a piece of HTML in one line."""
    return " ".join(unescape(text).split())
