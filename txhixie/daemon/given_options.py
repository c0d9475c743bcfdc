"""The options that an operator has given, with the defaults of options that were not given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from ..server.tls.errors import KeyMismatch
from .errors import CannotStart, HalfRenewed
from .options import OPTIONS, Said
from .setting import Setting

T = TypeVar("T")

_DEFAULTS: Final = {"port": "8080", "serve": "/=echo", "console": "/"}
"""Options of a daemon without options. With an option ``serve``, only ``port`` has a default."""


class GivenOptions:
    """
    Values of the options of one daemon.

    :ivar said: the values of each option that was given, and of each option with a default.
    """

    def __init__(self, said: Mapping[str, Sequence[Said]]) -> None:
        """
        Add the defaults. With an option ``serve`` there is no console page by default.

        :param said: values of the options, by the names of
            :data:`txhixie.daemon.options.OPTIONS`.
        """
        defaults = {"port": _DEFAULTS["port"]} if "serve" in said else _DEFAULTS
        self.said: Mapping[str, Sequence[Said]] = {
            **{name: [_default(name, text)] for name, text in defaults.items()},
            **said,
        }

    def __contains__(self, name: str) -> bool:
        return name in self.said

    def of(self, name: str) -> Sequence[Said]:
        """Return the values of an option with their places; none without the option."""
        return self.said.get(name, ())

    def one(self, name: str, default: T) -> T:
        """Return the value of an option that is not repeated; the last value counts."""
        said = self.of(name)
        return said[-1].value if said else default

    def all(self, name: str) -> list[Any] | None:
        """Return the values of an option that may be repeated; ``None`` without the option."""
        said = self.of(name)
        return [one.value for one in said] if said else None

    def joined(self, name: str) -> list[str] | None:
        """Return the lists that were given for an option as one list; ``None`` without it."""
        said = self.all(name)
        return None if said is None else [value for values in said for value in values]

    @property
    def trusted(self) -> list[str]:
        """Reverse proxies that may tell the client's address by header fields."""
        return self.all("trust-forwarded") or []

    @property
    def peers(self) -> list[str]:
        """All reverse proxies: those of the PROXY protocol too."""
        return [*(self.all("proxy-protocol") or ()), *self.trusted]

    def text(self, setting: Setting) -> str:
        """Return the value of a condition of all routes as text, given or by default."""
        said = self.of(setting.name)
        texts = [one.text for one in (said if setting.repeated else said[-1:])]
        return ",".join(texts) or setting.default or "none"

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the text of each value, given or by default."""
        for option in OPTIONS:
            default = "" if option.name in _DEFAULTS else option.default
            texts = [one.text for one in self.of(option.name)] or [default]
            yield from ((option.name, text) for text in texts if text)

    def check_same(self, name: str, what: str, said: Mapping[str, Sequence[Said]]) -> None:
        """
        Check that an option has the value of the start.

        :param name: the option.
        :param what: the option in words.
        :param said: the options now.
        :raises CannotStart: for another value.
        """
        before, now = (each.get(name, ())[-1:] for each in (self.said, said))
        if [one.value for one in before] != [one.value for one in now]:
            where = now[0].where if now else name
            expected = f"expected {what} of the start; restart the daemon to change it"
            raise CannotStart(f"hixie: {where}: {expected}")


def _default(name: str, text: str) -> Said:
    kind = next(option.kind for option in OPTIONS if option.name == name)
    return Said(f"--{name} {text}", text, kind.read_text(text))


def made_of(said: Said, make: Callable[[Any], T]) -> T:
    """
    Make an object of an option's value.

    :param said: the option and its value.
    :param make: takes the value and returns the object; raises ``ValueError`` for a bad value.
    :raises HalfRenewed: for a certificate that does not belong to its key.
    :raises CannotStart: for another bad value, with the option that gave the value.
    """
    try:
        return make(said.value)
    except KeyMismatch as error:
        raise HalfRenewed(f"hixie: {said.where}: {error}") from None
    except ValueError as error:
        raise CannotStart(f"hixie: {said.where}: {error}") from None
