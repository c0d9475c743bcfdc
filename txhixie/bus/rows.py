"""The table of buses: by the scheme of a URL, how a bus is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import Any, Final

from ..display import nearest
from .bus import MOST_HISTORY_BYTES, MOST_MESSAGE_BYTES, Bus
from .history import History
from .local import LocalBus
from .redis_address import RedisAddress
from .server_url import ServerURL, trusting

_NATS_PORT: Final = 4222


@dataclass(frozen=True, slots=True)
class BusRow:
    """
    Row of the table of buses.

    :ivar schemes: schemes of the URLs of the bus; the first is the name of the bus.
    :ivar form: form of a URL, for errors and for ``--help``.
    :ivar build: makes the bus: ``build(reactor, url, most, kept)``, see :func:`make_bus`. It raises
        ``ValueError`` with "expected ..." for a URL with a mistake and then for a package that is
        missing, and connects to no server.
    """

    schemes: tuple[str, ...]
    form: str
    build: Callable[[Any, str, int, int], Bus]


LOCAL: Final = "local"
"""Value of the option for a bus of the daemon alone."""


def _local(_: Any, url: str, most: int, kept: int) -> Bus:
    if url != LOCAL:
        raise ValueError("expected local without further words")
    return LocalBus(time, History(all_bytes=kept))


def _redis(reactor: Any, url: str, most: int, kept: int) -> Bus:
    address = RedisAddress.of(url)
    address.endpoint(reactor)
    try:
        import hiredis  # noqa: F401  (without it, txredisapi parses in Python)

        from .redis import RedisBus  # imports txredisapi, of the same extra
    except ImportError:
        packages = "txredisapi and hiredis; pip install 'txhixie[redis]'"
        raise ValueError(f"expected the packages {packages}") from None
    return RedisBus(reactor, address, most=most)


def _nats(reactor: Any, url: str, most: int, kept: int) -> Bus:
    server = _nats_server(url)
    trusting(server.ca)
    try:
        from .nats import NatsBus  # imports nats-py, of the extra
    except ImportError:
        packages = "nats-py; pip install 'txhixie[nats]'"
        raise ValueError(f"expected the package {packages}") from None
    return NatsBus(reactor, server, history=History(all_bytes=kept), most=most)


def _nats_server(url: str) -> ServerURL:
    try:
        server = ServerURL.of(url, _NATS_PORT)
        if server.path:
            raise ValueError
    except ValueError:
        expected = "expected nats://[USER:PASSWORD@]HOST[:PORT], or tls: for TLS"
        raise ValueError(f"{expected} with ?ca=FILE for CA certificates of its own") from None
    return server


BUSES: Final = (
    BusRow((LOCAL,), LOCAL, _local),
    BusRow(
        ("redis", "rediss", "valkey", "valkeys"),
        "redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]",
        _redis,
    ),
    BusRow(("nats", "tls"), "nats://[USER:PASSWORD@]HOST[:PORT]", _nats),
)
"""Table of all buses. A new bus needs a module in this package and a row in this table."""

_SCHEMES: Final = {scheme: row for row in BUSES for scheme in row.schemes}


def check_scheme(url: str) -> str:
    """
    Return a URL of a bus as it is.

    :raises ValueError: "expected ..." for a scheme that is not in the table.
    """
    scheme = url.partition(":")[0]
    if scheme not in _SCHEMES:
        forms = " or ".join(row.form for row in BUSES)
        raise ValueError(f"expected {forms}{nearest(scheme, _SCHEMES)}")
    return url


def make_bus(
    reactor: Any, url: str, most: int = MOST_MESSAGE_BYTES, kept: int = MOST_HISTORY_BYTES
) -> Bus:
    """
    Make the bus of a URL, which connects when it is started.

    :param most: most bytes of a message of the server; longer ones are dropped and counted.
    :param kept: most bytes of the earlier messages of all topics, if this process keeps them.
    :raises ValueError: "expected ..." for a URL with a mistake.
    """
    return _SCHEMES[check_scheme(url).partition(":")[0]].build(reactor, url, most, kept)
