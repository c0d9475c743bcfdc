"""Checks for mistakes in endpoint descriptions that Twisted's parsers accept or report unclearly.

Each error is one line for the operator and says what to write instead. Twisted's parsers read the
descriptions afterwards: schemes and options that are not checked here are left to these parsers.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

TLS_SCHEMES: Final = ("ssl", "tls")
"""Schemes of endpoint descriptions with TLS: one certificate, or a directory of certificates."""

_MOST: Final = 65535
_LONGEST_PATH: Final = 107
"""Bytes of a UNIX socket's path in Linux (unix(7)); on macOS and the BSDs it is 103."""

_KEY: Final = "server.pem"
"""The file of Twisted's endpoint ``ssl:`` without ``privateKey=``, for the key and the certificate.
"""

_DOMAINS: Final = ("INET", "INET6", "UNIX")
"""Kinds of sockets that systemd passes."""

_ADDRESS_AND_PORT: Final = re.compile(
    r"(?:https?|wss?)://.*|\[[0-9A-Fa-f:.%]*\](?::\w+)?|[0-9.]+:[0-9]+|\*?:[0-9]+|localhost:[0-9]+"
)
"""An address and a port as URLs and other programs write them, which is not a description."""

_BARE_COLONS: Final = re.compile(r"interface=([0-9A-Fa-f]*(?::[0-9A-Fa-f.]*){2,})(?=:|$)")
r"""An IPv6 address with unescaped colons, which Twisted reads as separators of parts."""

_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
"""One label of a host's name (RFC 1123 section 2.1); names of containers may have an underscore."""


class Parts(NamedTuple):
    """
    The parts of an endpoint description.

    :ivar scheme: the text before the first colon, in lower case.
    :ivar values: values without a name, in their order.
    :ivar named: values with a name, by their names.
    """

    scheme: str
    values: tuple[str, ...]
    named: Mapping[str, str]


def parts_of(description: str) -> Parts:
    r"""Split a description as Twisted does: ``:`` separates the parts, ``\`` escapes."""
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
    Check the description of a server endpoint.

    :raises ValueError: for a mistake; the text begins with ``expected``, or with the wrong part.
    """
    if _ADDRESS_AND_PORT.fullmatch(description):
        raise ValueError(f"expected a description: write {_meant(description)}")
    _check_colons(description)
    scheme, values, named = parts = parts_of(description)
    if "client-ca" in named and scheme not in TLS_SCHEMES:
        raise ValueError("client-ca: expected a port with TLS, ssl: or tls:")
    if scheme in ("tcp", "tcp6", "ssl"):
        _check_number(_value(parts, 0, "port"))
        _check_interface(named.get("interface"))
        if scheme == "ssl":
            _check_key(parts)
    elif scheme == "tls":
        _check_certificates(values[0] if values else named.get("path"))
        _check_number(named.get("port", "443"))
        _check_interface(named.get("interface"))
    elif scheme == "unix":
        _check_path(_value(parts, 0, "address"), listens=True)
        if not re.fullmatch("[0-7]{3,4}", named.get("mode", "666")):
            raise ValueError(f"mode={named['mode']}: expected an octal mode such as 660")
    elif scheme == "systemd" and (domain := _value(parts, 0, "domain")) not in (None, *_DOMAINS):
        raise ValueError(f"domain={domain}: expected one of {', '.join(_DOMAINS)}")


def pem_files(directory: Path) -> list[Path]:
    """The ``.pem`` files of a directory and of the directories in it, in alphabetical order."""
    # A daemon looks every five seconds: for 300 files this takes 8 ms, Path.rglob() 22 ms.
    walked = os.walk(directory)
    names = [os.path.join(place, name) for place, _, names in walked for name in names]  # noqa: PTH118 (faster)
    files = (Path(name) for name in names if name.endswith(".pem") and os.path.isfile(name))  # noqa: PTH113 (faster)
    return sorted(files)


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
    Check that the address to listen on is an address of this machine.

    :raises ValueError: if the machine does not have the address.
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
    Check the description of a client endpoint.

    The name of a host is not looked up, since this is done for each connection, and the name may
    get its address later.

    :raises ValueError: for a mistake; the text begins with ``expected``, or with the wrong part.
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
    """Return a value by its index or its name; ``None`` if missing, for which the parser raises."""
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
                r"; escape the colons of IPv6 and omit the brackets: interface=\:\:1"
                if "[" in interface
                else hint
            )
        else:
            escaped = bare.replace(":", r"\:")
            hint = f" without brackets: interface={escaped}"
        raise ValueError(f"interface={interface}: expected an address{hint}") from None


def _check_certificates(directory: str | None) -> None:
    if directory is None:
        return  # the endpoint raises for a missing directory
    if not directory or directory.isdecimal():
        raise ValueError(
            f"expected a directory of certificates: write tls:DIRECTORY:port={directory or 8443}"
        )
    if not Path(directory).is_dir():
        raise ValueError(f"expected a directory of certificates: {directory} is not a directory")
    if not pem_files(Path(directory)):
        raise ValueError(f"expected a certificate and its key in a .pem file in {directory}")


def _check_key(parts: Parts) -> None:
    key, certificate = _value(parts, 1, "privateKey"), _value(parts, 2, "certKey")
    is_misspelt = any(name.lower() == "privatekey" for name in parts.named)
    if key is None and not Path(_KEY).exists() and not is_misspelt:
        raise ValueError(
            "expected a certificate and its key, in PEM; write privateKey=FILE and certKey=FILE"
        )
    if certificate is not None:
        return
    with suppress(OSError):  # Twisted's parser raises for a file that cannot be read
        if b"-----BEGIN CERTIFICATE-----" not in Path(key or _KEY).read_bytes():
            raise ValueError(f"{key or _KEY} has no certificate; add certKey=FILE")


def _check_path(path: str | None, listens: bool = False) -> None:
    if path is None:
        return
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise ValueError(f"expected a socket path of at most {_LONGEST_PATH} bytes: {path}")
    directory = Path(path).parent
    if listens and not directory.is_dir():
        raise ValueError(f"expected a socket path in a directory that exists, not {directory}")


def _check_host(host: str | None) -> None:
    if not host:
        return  # Twisted's parser raises for a missing host
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        labels = host.removesuffix(".").split(".")
        if not host.isascii():
            return  # an internationalised name (IDNA), which has other rules
        if len(host) > 253 or not all(_NAME.fullmatch(label) for label in labels):
            raise ValueError(f"{host}: expected the name or the address of a host") from None
        if labels[-1].isdecimal():
            raise ValueError(f"{host}: expected an IPv4 address, four numbers up to 255") from None


def _meant(text: str) -> str:
    """Return the description for an address and a port in another notation."""
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
