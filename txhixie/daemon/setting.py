"""Options of the daemon and of services, with one name on the command line and in a file.

Each value is read in one way: a :class:`ValueKind` converts text to the value. A TOML value is
checked for its type, and then read as the text that it would be on a command line.
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
    The kind of an option's value: how the value is read, and its description for errors.

    :ivar expected: the words that follow "expected" in an error.
    :ivar read: converts text, or a TOML table, to the value; raises ``ValueError`` for a wrong
        value, with or without a text. A text with "expected" is used in place of ``expected``.
    :ivar types: the types that the value may have in TOML.
    """

    expected: str
    read: Callable[[Any], Any]
    types: tuple[type, ...] = (str,)

    def read_text(self, text: Any) -> Any:
        """
        Read a value of the command line.

        :raises ValueError: "expected ..." for a wrong value.
        """
        try:
            return self.read(text)
        except ValueError as error:
            why = str(error)
            raise ValueError(why if "expected " in why else f"expected {self.expected}") from None

    def read_toml(self, value: object) -> Any:
        """
        Read a value of a TOML file.

        :raises ValueError: "expected ..." for a wrong type or a wrong value.
        """
        if type(value) not in self.types:
            raise ValueError(f"expected {self.expected}")
        return self.read_text(value if isinstance(value, dict) else _written(value))


@dataclass(frozen=True, slots=True)
class Setting:
    """
    One option.

    :ivar name: the name in TOML: lower case, words joined by ``-``.
    :ivar kind: the kind of its value.
    :ivar meaning: one or two sentences for ``--help``.
    :ivar default: the default in words; empty where ``--help`` needs none.
    :ivar repeated: whether the option may be given several times; in a file as an array.
    """

    name: str
    kind: ValueKind
    meaning: str
    default: str = ""
    repeated: bool = False

    @property
    def flagged(self) -> str:
        """Text of the value of a flag on the command line: the opposite of the flag's default."""
        return "false" if self.default == "true" else "true"

    @property
    def option(self) -> str:
        """Name on a command line, without the dashes before it."""
        return f"no-{self.name}" if self.kind is FLAG and self.flagged == "false" else self.name


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST:
        raise ValueError
    return int(text)


def _number_or_none(text: str) -> int:
    return 0 if text == "0" else _number(text)


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
    """The kind of a whole number above zero, with its unit."""
    return ValueKind(f"a number of {unit}", _number, (int,))


def limit(unit: str) -> ValueKind:
    """The kind of a whole number with its unit, or of 0 for no limit."""
    return ValueKind(f"a number of {unit}, or 0 for no limit", _number_or_none, (int,))


def one_of(names: Iterable[str]) -> ValueKind:
    """The kind of a value that is one of these words."""
    words = {name: name for name in names}

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected one of {', '.join(words)}{nearest(text, words)}")
        return text

    return ValueKind(f"one of {', '.join(words)}", read)


ANY_TEXT: Final = ValueKind("text", _visible)
SECONDS: Final = ValueKind("a number of seconds", _seconds, (int, float))
SOME_SECONDS: Final = ValueKind("a number of seconds", _some_seconds, (int, float))
RATE: Final = ValueKind("a number a second", _seconds, (int, float))
FLAG: Final = ValueKind("true or false", lambda text: ("false", "true").index(text) == 1, (bool,))


def find(name: str, settings: Iterable[Setting], what: str) -> Setting:
    """
    Find an option by its name.

    :param what: the noun for the error, without an article: "option of the service", say.
    :raises ValueError: for an unknown name, with the nearest known name or with all names.
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
    Read the values of several options.

    :param given: the values by the names of their options.
    :param what: the noun for the error, as for :func:`find`.
    :param read: ``ValueKind.read_text`` or ``ValueKind.read_toml``.
    :raises ValueError: for a wrong value, with the option's name and what was expected; for an
        unknown name, with the nearest known name.
    """
    values: dict[str, Any] = {}
    for name, value in given.items():
        values[name] = read_one(find(name, settings, what), value, read)
    return values


def read_one(setting: Setting, value: Any, read: Callable[[ValueKind, Any], Any]) -> Any:
    """
    Read the value of one option of a route.

    :param value: the value as the operator wrote it; a list for several values.
    :param read: ``ValueKind.read_text`` or ``ValueKind.read_toml``.
    :return: the value; for an option that may be repeated the joined sequences of its values.
    :raises ValueError: for a wrong value, with the option's name and what was expected.
    """
    several = value if setting.repeated and isinstance(value, list) else [value]
    if not several:
        raise ValueError(f"{setting.name}: expected at least one value")
    values = []
    for one in several:
        try:
            values.append(read(setting.kind, one))
        except ValueError as error:
            shown = option_as_written(setting.name, one, " ")
            raise ValueError(f"{shown}: {error}") from None
    return [one for each in values for one in each] if setting.repeated else values[0]


_SECRET: Final = re.compile(r"((?:^|(?<=\s))header[= ])([^:\s]*:[ ]?)?(?:(?!\s[a-z][a-z0-9-]*=).)*")
"""A header field for a backend, which may have a token or a password."""


def as_written(value: object) -> str:
    """
    A value as the operator may have written it, for an error or for the report of ``--check``.

    Both are logged, so the user name and the password of a URL are left out, and the values of
    header fields for a backend.
    """
    text = re.sub(r"(?<=://)[^/?#]*@", "***@", _written(value))
    return _SECRET.sub(r"\1\2***", text)


def option_as_written(name: str, value: object, equals: str = "=") -> str:
    """An option of a route and its value as the operator may have written both."""
    several = value if isinstance(value, list) and name == "header" else [value]
    return " ".join(as_written(f"{name}{equals}{_written(one)}") for one in several)


def _written(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(_written, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
