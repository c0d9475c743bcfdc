"""The option ``serve``: one route, its service, and the options of the service.

On a command line a route is one word, ``[HOST]/PATH=SERVICE key=value ...``. In a file a route may
also be a table with the keys ``host``, ``path``, ``required-subprotocol`` and ``service``, and with
the service's options as further keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from ..display import nearest
from .conditions import CONDITIONS, read_conditions
from .routes import Route
from .setting import ANY_TEXT, Setting, ValueKind, as_written, option_as_written, read_all

_REQUIRED: Final = "required-subprotocol"
ROUTE: Final = (
    Setting("host", ANY_TEXT, "Host name, or *. and a name for all names below; by default any."),
    Setting("path", ANY_TEXT, "Path of the route, which also matches all paths below."),
    Setting(_REQUIRED, ANY_TEXT, "Subprotocol that a client has to offer; by default none."),
    Setting(
        "service",
        ANY_TEXT,
        "Service of the route; or several backends, of which a client gets the first one that can "
        "be reached, with blanks between them (in a file also an array).",
    ),
    Setting(
        "targets",
        ANY_TEXT,
        "File of targets, or directory of such files: the same as service=targets:PATH.",
    ),
)
_REPEATED: Final = frozenset({"header"})
"""Options of services with values that commas cannot join, and which are written several times
instead."""

_SHAPE: Final = "expected [HOST]/PATH=SERVICE, then options of the service as key=value"
_BLANKS: Final = r"(?<!\s)\s++(?=[a-z][a-z0-9-]*=)"
_OPTION: Final = re.compile(_BLANKS)
"""Blanks before an option. The expression matches each run of blanks from its beginning only, since
to try each blank of a run would take time with the square of its length."""

_NEXT: Final = re.compile(r"(?<!\s)\s++(?=[a-z][a-z0-9+.-]*:)")
"""Blanks before a further backend, which begins with its scheme. Paths may have other blanks."""


_NO_WORDS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Description:
    """
    Description of one route and its service.

    :ivar route: the route.
    :ivar service: the service as the operator wrote it, with its scheme first; or several backends
        with blanks between them.
    :ivar given: options of the service as the operator wrote them; the service has their kinds.
    :ivar read: reads an option: ``ValueKind.read_text`` or ``ValueKind.read_toml``.
    :ivar conditions: conditions of the route as the operator wrote them.
    """

    route: Route
    service: str
    given: Mapping[str, Any]
    read: Callable[[ValueKind, Any], Any]
    conditions: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        place = f"{self.route.host or ''}{self.route.path}={as_written(self.service)}"
        wanted = {_REQUIRED: self.route.subprotocol} if self.route.subprotocol else {}
        options = wanted | {**self.conditions} | {**self.given}
        return " ".join([place, *(option_as_written(name, options[name]) for name in options)])

    @property
    def services(self) -> list[str]:
        """The service, or the backends in the order in which they are tried."""
        return split_backends(self.service)

    def options(
        self, settings: Iterable[Setting], misplaced: Mapping[str, str] = _NO_WORDS
    ) -> dict[str, Any]:
        """
        Read the options of the service.

        :param settings: the options that the service has.
        :param misplaced: words that are no options, each with the text of its error.
        :return: the values by the options' names.
        :raises ValueError: for an unknown option or a bad value, with the option's name.
        """
        for name in self.given.keys() & misplaced.keys():
            raise ValueError(f"{name}: {misplaced[name]}")
        known = (*settings, *CONDITIONS)  # conditions are not in given, but may be meant
        return read_all(self.given, known, f"option of {as_written(self.service)}", self.read)

    def read_conditions(self) -> dict[str, Any]:
        """
        Read the conditions of the route.

        :return: the values by the conditions' names, without those that the route does not have.
        :raises ValueError: for a bad value, with the condition's name.
        """
        return read_conditions(self.conditions, self.read)


def read_description(said: object) -> Description:
    """
    Read a route, which is a word or a table.

    :raises ValueError: "expected ..." for a bad route.
    """
    if isinstance(said, str):
        return _read_word(said)
    if isinstance(said, dict):
        if "service" in said:
            said = {**said, "service": _joined(said["service"])}
        _check_service(said.get("service"))
        return _describe(said, ValueKind.read_toml)
    raise ValueError(f"{_SHAPE}, or a table of these")


def split_backends(text: str) -> list[str]:
    """
    Split the descriptions of several backends, which have blanks between them.

    :param text: such as ``ws://one:9000 ws://two:9000``.
    """
    return _NEXT.split(text)


def _joined(service: object) -> object:
    """
    Return the key ``service`` of a table as one text.

    :raises ValueError: for an array without backends, or with another value than a text.
    """
    if not isinstance(service, list):
        return service
    if not service or not all(isinstance(each, str) and each.strip() for each in service):
        raise ValueError("service: expected a text, or an array of backends")
    return " ".join(service)


def _check_service(service: object) -> None:
    """
    Check the key ``service`` of a table, in which the service's options are keys of their own.

    :raises ValueError: for a service followed by ``key=value``, with the keys to write.
    """
    if isinstance(service, str) and (found := _OPTION.split(service))[1:]:
        raise ValueError(
            f"{as_written(service)}: expected the service alone; its options are keys of the "
            "table: " + "; ".join(map(_as_key, found[1:]))
        )


def _as_key(option: str) -> str:
    name, _, value = as_written(option).partition("=")
    quoted = value if value in {"true", "false"} else f'"{value}"'
    return f"{name} = {quoted}"


def _read_word(word: str) -> Description:
    place, equals, rest = word.partition("=")
    host, slash, path = place.partition("/")
    if not (equals and slash and rest):
        raise ValueError(_SHAPE)
    service, *options = _OPTION.split(rest.strip())
    said: dict[str, Any] = {"path": slash + path, "service": service}
    if host:
        said["host"] = host
    for option in options:
        name, _, value = option.partition("=")
        if name in _REPEATED:
            said.setdefault(name, []).append(value)
            continue
        if name in said or name in {"host", "path", "service"}:
            raise ValueError(f"{name}: expected at most once in a route")
        said[name] = value
    return _describe(said, ValueKind.read_text)


def _describe(said: Mapping[str, Any], read: Callable[[ValueKind, Any], Any]) -> Description:
    own = {setting.name for setting in ROUTE}
    if "*" in str(said.get("path", "")):
        path = str(said["path"])
        raise ValueError(
            f"{path}: expected a path without *: a route also matches all paths below its own"
        )
    values = read_all({n: v for n, v in said.items() if n in own}, ROUTE, "", read)
    if "targets" in values:
        if "service" in values:
            raise ValueError("targets: expected no service beside it; write targets alone")
        values["service"] = f"targets:{values['targets']}"
    for name in ("path", "service"):
        if name not in values:
            meant = [each for each in said if each not in own and nearest(each, (name,))]
            instead = f" in place of {meant[0]}" if meant else ""
            raise ValueError(f"expected the key {name}{instead}")
    host = values.get("host")
    route = Route(host and host.lower(), values["path"], values.get(_REQUIRED))
    conditions = {each.name: said[each.name] for each in CONDITIONS if each.name in said}
    given = {name: said[name] for name in said if name not in own | conditions.keys()}
    return Description(route, values["service"], given, read, conditions)
