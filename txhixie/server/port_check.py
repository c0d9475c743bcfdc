"""Mistakes in endpoint descriptions that Twisted's parsers take, or report in other words.

Each is a line for the operator that says what to write instead. The parsers themselves stay
Twisted's: what is not known here is left to them.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

_MOST: Final = 65535
_LONGEST_PATH: Final = 107
"""Bytes of a UNIX socket's path in Linux (unix(7)); on macOS and the BSDs it is 103."""

_ADDRESS_AND_PORT: Final = re.compile(
    r"(?:https?|wss?)://.*|\[[0-9A-Fa-f:.%]*\](?::\w+)?|[0-9.]+:[0-9]+|\*?:[0-9]+|localhost:[0-9]+"
)
"""What stands for an address and a port elsewhere."""

_BARE_COLONS: Final = re.compile(r"interface=([0-9A-Fa-f]*(?::[0-9A-Fa-f.]*){2,})(?=:|$)")
r"""An IPv6 address whose colons are not escaped; Twisted takes them for further parts."""

_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
"""One label of a host's name (RFC 1123 section 2.1); an underscore is in names of containers."""


class Parts(NamedTuple):
    """
    A description, taken apart.

    :ivar scheme: what stands before the first colon, in lower case.
    :ivar values: those without a name, in their order.
    :ivar named: the others.
    """

    scheme: str
    values: tuple[str, ...]
    named: Mapping[str, str]


def parts_of(description: str) -> Parts:
    r"""Take a description apart as Twisted does: ``:`` between values, ``\`` before a sign."""
    values: list[str] = []
    named: dict[str, str] = {}
    for part in re.findall(r"(?:^|:)((?:\\.|[^\\:])*)", description):
        name, equals, value = _partition(part)
        if equals:
            named[_plain(name)] = _plain(value)
        else:
            values.append(_plain(part))
    return Parts(values[0].lower() if values else "", tuple(values[1:]), named)


def check_port(description: str) -> None:
    """
    Look at a description of where to listen.

    :raises ValueError: "expected ..." for a mistake.
    """
    if _ADDRESS_AND_PORT.fullmatch(description):
        raise ValueError(f"expected a description: write {_meant(description)}")
    _check_colons(description)
    scheme, values, named = parts = parts_of(description)
    if scheme in ("tcp", "tcp6", "ssl"):
        _check_number(_value(parts, 0, "port"))
        _check_interface(named.get("interface"))
    elif scheme == "tls":
        _check_certificates(values[0] if values else named.get("path"))
        _check_number(named.get("port", "443"))
        _check_interface(named.get("interface"))
    elif scheme == "unix":
        _check_path(_value(parts, 0, "address"), listens=True)
        if not re.fullmatch("[0-7]{3,4}", named.get("mode", "666")):
            raise ValueError(f"mode={named['mode']}: expected an octal mode such as 660")


def _check_colons(description: str) -> None:
    found = _BARE_COLONS.search(description)
    if found is not None:
        escaped = found[1].replace(":", r"\:")
        raise ValueError(
            f"interface={found[1]}: expected an IPv6 address with its colons escaped:"
            f" interface={escaped}"
        )


def check_interface_here(description: str) -> None:
    """
    Whether an address to listen on is one of this machine's.

    :raises ValueError: "expected ..." if it is not.
    """
    interface = parts_of(description).named.get("interface")
    if interface:
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.bind((interface, 0))
        except OSError as error:
            why = error.strerror or str(error)
            raise ValueError(
                f"interface={interface}: expected an address of this machine: {why}"
            ) from None


def check_backend(description: str) -> None:
    """
    Look at a description of where to connect to. Whether a name has an address is not asked: it is
    looked up for each connection, and may come later.

    :raises ValueError: "expected ..." for a mistake.
    """
    parts = parts_of(description)
    scheme, named = parts.scheme, parts.named
    if scheme in ("tcp", "tls", "ssl"):
        if "[" in description or "]" in description:
            raise ValueError(
                "expected an IPv6 address without brackets and with its colons escaped: "
                rf"{scheme}:\:\:1:PORT for [::1]:PORT"
            )
        _check_host(_value(parts, 0, "host"))
        _check_number(_value(parts, 1 if "host" not in named else 0, "port"), least=1)
    elif scheme == "unix":
        _check_path(_value(parts, 0, "path"))


def _value(parts: Parts, index: int, name: str) -> str | None:
    """A value by its place or its name; ``None`` where it is missing, which is the parser's."""
    if name in parts.named:
        return parts.named[name]
    return parts.values[index] if len(parts.values) > index else None


def _check_number(port: str | None, least: int = 0) -> None:
    if port is None:
        return
    if not re.fullmatch("[0-9]{1,9}", port, re.ASCII):
        raise ValueError(f"port {port}: expected a number, not the name of a service")
    if not least <= int(port) <= _MOST:
        raise ValueError(f"port {port}: expected a number from {least} to {_MOST}")


def _check_interface(interface: str | None) -> None:
    if not interface:
        return
    try:
        ip_address(interface.partition("%")[0])
    except ValueError:
        bare = interface.strip("[]")
        try:
            ip_address(bare)
        except ValueError:
            hint = ", not the name of an interface" if _NAME.fullmatch(interface) else ""
            hint = (
                r"; escape the colons of IPv6 and leave brackets out: interface=\:\:1"
                if "[" in interface
                else hint
            )
        else:
            escaped = bare.replace(":", r"\:")
            hint = f" without brackets: interface={escaped}"
        raise ValueError(f"interface={interface}: expected an address{hint}") from None


def _check_certificates(directory: str | None) -> None:
    if directory is None:
        return
    if directory.isdecimal():
        raise ValueError(
            f"expected a directory of certificates: write tls:DIRECTORY:port={directory}"
        )
    if not Path(directory).is_dir():
        raise ValueError(f"expected a directory of certificates, and {directory} is none")
    if not any(Path(directory).glob("*.pem")):
        raise ValueError(f"expected a certificate and its key in a .pem file of {directory}")


def _check_path(path: str | None, listens: bool = False) -> None:
    if path is None:
        return
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise ValueError(f"expected a path of at most {_LONGEST_PATH} bytes: a socket's is short")
    directory = Path(path).parent
    if listens and not directory.is_dir():
        raise ValueError(f"expected a directory that exists, and {directory} does not")


def _check_host(host: str | None) -> None:
    if not host:
        return  # the parser says so
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        labels = host.removesuffix(".").split(".")
        if not host.isascii():
            return  # a name for IDNA, which has its own rules
        if len(host) > 253 or not all(_NAME.fullmatch(label) for label in labels):
            raise ValueError(f"{host}: expected the name or the address of a host") from None
        if labels[-1].isdecimal():
            raise ValueError(f"{host}: expected an IPv4 address of four numbers to 255") from None


def _meant(text: str) -> str:
    """The description that was probably meant."""
    text = re.sub(r"^\w+://", "", text).rstrip("/")
    host, _, port = text.rpartition(":")
    if not port.isdecimal():
        host, port = text, "8080"
    host = host.strip("[]")
    if host in ("", "*"):
        return port
    host = "127.0.0.1" if host == "localhost" else host.replace(":", r"\:")
    return f"tcp:{port}:interface={host}"


def _partition(part: str) -> tuple[str, str, str]:
    found = re.match(r"((?:\\.|[^\\=])*)=", part)
    return (part, "", "") if found is None else (found[1], "=", part[found.end() :])


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
