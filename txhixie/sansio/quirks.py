"""Table of quirks: deviations of clients that a server may let in, each by its word.

All are off by default, and none switches on all. Errors, the log, ``--check``, the guide and the
doctor take their words from this table. Deviations without a danger need no word: they are always
accepted. Deviations that no server should accept have no word either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from .arguments import strings


def hint_of(words: Iterable[str]) -> str:
    """Return the end of an error about deviations: the words that let them in."""
    return f"quirks={','.join(words)} lets it in"


@dataclass(frozen=True, slots=True)
class Quirk:
    """
    One row of the table.

    :ivar word: the word by which an operator lets the deviation in.
    :ivar allows: what is let in.
    :ivar danger: why it is off by default; empty if no danger is known.
    :ivar seen: clients that deviate so.
    :ivar errors: for a deviation in frames, the errors that end a conversation without the quirk.
    """

    word: str
    allows: str
    danger: str
    seen: tuple[str, ...]
    errors: tuple[str, ...] = ()

    @property
    def hint(self) -> str:
        """The end of an error about the deviation: the word that lets it in."""
        return hint_of([self.word])


BEGINS_WITH_ZERO: Final = "unexpected continuation frame at the beginning"
"""Error for a first frame that is a continuation, and not final: its first byte is 00."""

QUIRKS: Final = (
    Quirk(
        "upgrade",
        "a request with Upgrade: websocket and without Connection: Upgrade",
        "An HTTP proxy in front of the server takes such a request for an ordinary one, and may "
        "give the connection to other clients after it. Use it where devices connect directly.",
        ("Autel MaxiCharger 1.38 (a charger for cars)",),
    ),
    Quirk(
        "key",
        "a Sec-WebSocket-Key of 1 to 128 visible characters that is not 16 bytes in base64",
        "",
        (
            "dart-sip-ua of 2020 (8 bytes)",
            "fs2-http of 2017 (12 bytes)",
            "Ktor until January 2019 (24 bytes)",
            "a charger for cars (32 bytes)",
            "BrightWebSocket for Roku until June 2020",
        ),
    ),
    Quirk(
        "host",
        "a request without Host or with an empty one, if it has no Origin and the server allows "
        "every host; and a request with the same fields twice, Host among them",
        "A reverse proxy may read another host than this server. Use it where devices connect "
        "directly.",
        ("Vert.x 3.3", "ws before 0.4.27", "nim-websock until May 2021", "arduinoWebSockets 2.0.5"),
    ),
    Quirk(
        "target",
        "a request target that is empty, has no slash at its beginning, or doubled slashes; it is "
        "normalised before the route is chosen",
        "A reverse proxy that filters by path reads another path than this server. Use it where "
        "devices connect directly.",
        (
            "ILEvator for IBM i",
            "libwebsockets 1.6 and 1.7",
            "Netty until November 2012",
            "jawampa until March 2015",
            "Haskell websockets of 2016",
        ),
    ),
    Quirk(
        "lists",
        "subprotocols with ; or spaces between them, or in quotation marks; and an invalid list of "
        "extensions, which counts as none",
        "",
        ("SwiftWebSocket until May 2016", "security software that removes the word deflate"),
    ),
    Quirk(
        "stray",
        "a zero byte or an empty line directly behind the head of the request, which is dropped",
        "",
        ("C programs that send sizeof(request) bytes",),
        (BEGINS_WITH_ZERO, "unknown opcode 0xd"),
    ),
    Quirk(
        "masks",
        "frames of a client without a mask, unless a page of a browser has sent the request",
        "A mask keeps a page from writing chosen bytes through a broken proxy. Use it on a route "
        "that no page uses.",
        (
            "Asterisk 16 and 17",
            "Sming 3.0 to 3.4 (ESP8266)",
            "ESP-IDF 4.0 of June to August 2019",
            "Hoa Websocket of 2014",
            "treeform/ws until November 2019",
        ),
        ("client frames must be masked",),
    ),
    Quirk(
        "goodbyes",
        "a close frame with any payload, and a frame with opcode 7 as a close frame: a clean end "
        "with code 1005",
        "",
        ("Arduino-Websocket of brandenhall", "arduino-websocketclient", "ESP8266-Websocket"),
        (
            "unknown opcode 0x7",
            "invalid close code",
            "close frame payload of 1 byte",
            "invalid UTF-8 in a close reason",
        ),
    ),
    Quirk(
        "text",
        "text that is not UTF-8: each wrong byte becomes U+FFFD",
        "",
        ("MicroOcpp", "OpenEVSE", "serial bridges that send Latin-1"),
        ("invalid UTF-8 in a text message",),
    ),
    Quirk(
        "kinds",
        "on a route to a byte stream, a text message for bytes, and a binary message of UTF-8 for "
        "text",
        "",
        ("MQTT.js 2.0.0", "nchan", "Homey Energy Dongle"),
        ("expected a binary message", "expected a text message"),
    ),
)
"""All quirks."""

_BY_WORD: Final = {quirk.word: quirk for quirk in QUIRKS}

NO_QUIRKS: Final[frozenset[str]] = frozenset()
"""The quirks of a server that lets no deviation in."""


class Fault(NamedTuple):
    """
    One deviation of a client.

    :ivar word: the word of the quirk that lets it in.
    :ivar text: the deviation, for the log and for the response.
    """

    word: str
    text: str


Tell: TypeAlias = Callable[[Fault], None]
"""Callback for each kind of deviation that a quirk has let in."""


def tell_nobody(fault: Fault) -> None:
    """Do nothing: the connection has no quirks."""


def quirk_of(word: str) -> Quirk:
    """Return the row of a word."""
    return _BY_WORD[word]


def hint_about(error: str) -> str | None:
    """
    Return the hint about the quirk that lets in a deviation that has ended a conversation.

    :param error: text of the error.
    """
    for quirk in QUIRKS:
        if error.startswith(quirk.errors):
            return quirk.hint
    return None


def read_quirks(words: Iterable[str]) -> frozenset[str]:
    """
    Return the words of quirks as a set.

    :raises ValueError: for an unknown word; the text has the known words.
    :raises TypeError: for one string instead of several, and for a word that is not ``str``.
    """
    found = frozenset(strings("quirks", words, '["key"]'))
    for word in sorted(found - _BY_WORD.keys()):
        raise ValueError(f"unknown quirk {word!r}; known are {', '.join(_BY_WORD)}")
    return found
