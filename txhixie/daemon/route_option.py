"""What an operator says of one route: where it is, which service it leads to, and its options.

On a command line it is one word, ``[HOST]/PATH=SERVICE key=value ...``; in a file it may be a table
with the keys ``host``, ``path``, ``required-subprotocol``, ``service`` and those of the service's
options.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .routes import Route
from .setting import ANY_TEXT, Setting, ValueKind, as_written, read_all

_REQUIRED: Final = "required-subprotocol"
ROUTE: Final = (
    Setting("host", ANY_TEXT, "A name, or *. and a name for all below it; by default any."),
    Setting("path", ANY_TEXT, "Where the route begins."),
    Setting(_REQUIRED, ANY_TEXT, "The subprotocol that a client has to offer; by default none."),
    Setting("service", ANY_TEXT, "What is served there."),
)
_SHAPE: Final = "expected [HOST]/PATH=SERVICE, then options of the service as key=value"
_BLANKS: Final = r"(?<!\s)\s++(?=[a-z][a-z0-9-]*=)"
_OPTION: Final = re.compile(_BLANKS)
"""Each run of blanks is tried once, from its beginning."""


@dataclass(frozen=True, slots=True)
class Description:
    """
    One route and its service.

    :ivar service: as written, its scheme first.
    :ivar given: the options of the service, not read yet: it is the service that knows their kinds.
    :ivar read: how they are read: ``ValueKind.read_text`` or ``ValueKind.read_toml``.
    """

    route: Route
    service: str
    given: Mapping[str, Any]
    read: Callable[[ValueKind, Any], Any]

    def __str__(self) -> str:
        place = f"{self.route.host or ''}{self.route.path}={as_written(self.service)}"
        wanted = {_REQUIRED: self.route.subprotocol} if self.route.subprotocol else {}
        options = wanted | {**self.given}
        return " ".join([place, *(f"{name}={as_written(options[name])}" for name in options)])

    def options(self, settings: Iterable[Setting]) -> dict[str, Any]:
        """
        The options of the service, read.

        :raises ValueError: naming the key and what was expected.
        """
        return read_all(self.given, settings, f"option of {as_written(self.service)}", self.read)


def read_description(said: object) -> Description:
    """
    Read what was said, in either way.

    :raises ValueError: with what was expected.
    """
    if isinstance(said, str):
        return _read_word(said)
    if isinstance(said, dict):
        _check_service(said.get("service"))
        return _describe(said, ValueKind.read_toml)
    raise ValueError(f"{_SHAPE}, or a table of these")


def _check_service(service: object) -> None:
    """Options that stand behind a table's service, as on a command line."""
    if isinstance(service, str) and (found := _OPTION.split(service))[1:]:
        raise ValueError(
            f"{as_written(service)}: expected the service alone; its options are keys of the "
            "table: " + "; ".join(map(_as_key, found[1:]))
        )


def _as_key(option: str) -> str:
    name, _, value = option.partition("=")
    quoted = value if value in {"true", "false"} else f'"{as_written(value)}"'
    return f"{name} = {quoted}"


def _read_word(word: str) -> Description:
    place, equals, rest = word.partition("=")
    host, slash, path = place.partition("/")
    if not (equals and slash and rest):
        raise ValueError(_SHAPE)
    service, *options = _OPTION.split(rest.strip())
    said = {"path": slash + path, "service": service}
    if host:
        said["host"] = host
    for option in options:
        name, _, value = option.partition("=")
        if name in said or name in {"host", "path", "service"}:
            raise ValueError(f"{name}: expected to be said once")
        said[name] = value
    return _describe(said, ValueKind.read_text)


def _describe(said: Mapping[str, Any], read: Callable[[ValueKind, Any], Any]) -> Description:
    own = {setting.name for setting in ROUTE}
    if "*" in str(said.get("path", "")):
        path = str(said["path"])
        raise ValueError(f"{path}: expected a path without *: a route is for all that is below it")
    values = read_all({n: v for n, v in said.items() if n in own}, ROUTE, "", read)
    for name in ("path", "service"):
        if name not in values:
            raise ValueError(f"expected the key {name}")
    host = values.get("host")
    route = Route(host and host.lower(), values["path"], values.get(_REQUIRED))
    given = {name: value for name, value in said.items() if name not in own}
    return Description(route, values["service"], given, read)
