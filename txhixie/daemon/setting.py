"""A setting: something an operator can say, by one name, on a command line and in a file.

There is one reading of each value. A kind turns text into what is wanted; a value of TOML is
checked for its type and then read as the text it would be on a command line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from ..display import nearest
from ..sansio.limits import MOST


@dataclass(frozen=True, slots=True)
class ValueKind:
    """
    What a value has to be.

    :ivar expected: in words, as they come after "expected".
    :ivar read: takes text, answers the value; raises ``ValueError`` for what cannot be meant,
        with a text of its own or without one. A table of TOML's it gets as it is.
    :ivar types: those of TOML's that can stand for it in a file.
    """

    expected: str
    read: Callable[[Any], Any]
    types: tuple[type, ...] = (str,)

    def read_text(self, text: Any) -> Any:
        """
        Read what was said on a command line.

        :raises ValueError: "expected ..." when it cannot be meant.
        """
        try:
            return self.read(text)
        except ValueError as error:
            said = str(error)
            raise ValueError(said if "expected " in said else f"expected {self.expected}") from None

    def read_toml(self, value: object) -> Any:
        """
        Read what was said in a file.

        :raises ValueError: "expected ..." for another type, or when it cannot be meant.
        """
        if type(value) not in self.types:
            raise ValueError(f"expected {self.expected}")
        return self.read_text(value if isinstance(value, dict) else _written(value))


@dataclass(frozen=True, slots=True)
class Setting:
    """
    One setting.

    :ivar name: lower case, words joined by ``-``: ``name`` in TOML.
    :ivar kind: what its value has to be.
    :ivar meaning: one or two sentences for the operator.
    :ivar default: in words, what holds if it is not said; empty for nothing worth a word.
    :ivar repeated: whether it may be said several times; in a file as an array.
    """

    name: str
    kind: ValueKind
    meaning: str
    default: str = ""
    repeated: bool = False

    @property
    def flagged(self) -> str:
        """The value of a flag that is on the command line: the opposite of its default."""
        return "false" if self.default == "true" else "true"

    @property
    def option(self) -> str:
        """The name on a command line, without the dashes before it."""
        return f"no-{self.name}" if self.kind is FLAG and self.flagged == "false" else self.name


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST:
        raise ValueError
    return int(text)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < inf:
        raise ValueError
    return seconds


def _some_seconds(text: str) -> float:
    if not (seconds := _seconds(text)):
        raise ValueError("expected more than 0 seconds")
    return seconds


def _visible(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError
    return text


def number(unit: str) -> ValueKind:
    """A whole number above zero."""
    return ValueKind(f"a number of {unit}", _number, (int,))


def one_of(names: Iterable[str]) -> ValueKind:
    """One of some words."""
    words = {name: name for name in names}

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected one of {', '.join(words)}{nearest(text, words)}")
        return text

    return ValueKind(f"one of {', '.join(words)}", read)


ANY_TEXT: Final = ValueKind("text", _visible)
SECONDS: Final = ValueKind("a number of seconds", _seconds, (int, float))
SOME_SECONDS: Final = ValueKind("a number of seconds", _some_seconds, (int, float))
FLAG: Final = ValueKind("true or false", lambda text: ("false", "true").index(text) == 1, (bool,))


def find(name: str, settings: Iterable[Setting], what: str) -> Setting:
    """
    The setting of a name.

    :param what: what its name should have been, without an article.
    :raises ValueError: with the nearest known name, or all of them.
    """
    known = {setting.name: setting for setting in settings}
    if name in known:
        return known[name]
    if not known:
        raise ValueError(f"{name}: expected no further {what}")
    meant = nearest(name, known) or f": {', '.join(known)}"
    raise ValueError(f"{name}: expected an {what}{meant}")


def read_all(
    given: Mapping[str, Any],
    settings: Iterable[Setting],
    what: str,
    read: Callable[[ValueKind, Any], Any],
) -> dict[str, Any]:
    """
    Read values by name.

    :param what: as for :func:`find`.
    :param read: ``ValueKind.read_text`` or ``ValueKind.read_toml``.
    :raises ValueError: naming the key, what was expected and, for an unknown one, the nearest.
    """
    values: dict[str, Any] = {}
    for name, value in given.items():
        setting = find(name, settings, what)
        try:
            values[name] = read(setting.kind, value)
        except ValueError as error:
            raise ValueError(f"{name} {as_written(value)}: {error}") from None
    return values


def as_written(value: object) -> str:
    """
    A value of the operator's as he may have written it, for an error or a report.

    Both are logged, so that a user's name and password in a URL are left out.
    """
    return re.sub(r"(?<=://)[^/?#]*@", "***@", _written(value))


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
