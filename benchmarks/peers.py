"""The servers that are compared: one row a server. A new one is a row here and a file in servers/.

Every server takes its port as an argument, listens on 127.0.0.1 and echoes on ``/``: text as text,
binary as binary. Gateways, which are asked the same, are in gateways.py.
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workloads import Load

OPT: Final = Path(os.environ.get("BENCH_OPT", "/opt/bench"))
"""Where install.sh has put the peers, and ``wsload``."""

SERVERS: Final = Path(__file__).resolve().parent / "servers"
REFERENCE: Final = "tx-raw"
FRAGMENTING: Final = ("hybi07", "hybi08", "rfc6455")
DIALECTS: Final = ("raw", "hixie75", "hixie76", *FRAGMENTING)


@dataclass(frozen=True, slots=True)
class Peer:
    """
    One server in one dialect.

    :ivar command: what starts it; ``{port}`` is put in, and where they are said ``{backend}``, the
        backend's port, and ``{directory}``, one that is removed in the end.
    :ivar backend: what starts the server that it is a gateway to, whose work is not its own.
    :ivar stream: it is a gateway to a stream of bytes: it takes binary only, and what comes back is
        cut anywhere.
    :ivar most: connections it can hold; where more are asked for, it gets these.
    :ivar text_only: it cannot echo binary, and is sent text instead.
    :ivar fragments: it puts fragmented messages together.
    :ivar deflate: it agrees to permessage-deflate.
    :ivar broadcast: what comes in on ``/broadcast`` goes to all connections there.
    :ivar environment: variables it is started with besides ours.
    :ivar installed: it must run what is installed beside its interpreter, so PYTHONPATH is taken
        from it.
    """

    dialect: str
    command: tuple[str, ...]
    backend: tuple[str, ...] = ()
    stream: bool = False
    most: int = 1 << 16
    text_only: bool = False
    fragments: bool = True
    deflate: bool = False
    broadcast: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    installed: bool = True

    def takes(self, load: Load) -> bool:
        """Whether the server can be given this load, or one that is as good to it."""
        if load.mode == "broadcast" and not self.broadcast:
            return False
        if load.fragments > 1 and not (self.fragments and self.dialect in FRAGMENTING):
            return False
        # Bare TCP echoes deflated messages like any others: it stays the reference.
        return not load.deflate or self.deflate or self.dialect == "raw"

    def suited(self, load: Load) -> Load:
        """The load as this server can take it."""
        if load.payload == "binary" and (self.text_only or self.dialect.startswith("hixie")):
            load = replace(load, payload="text")
        if self.stream:
            load = replace(load, payload="binary", stream=True)
        if load.conns > self.most:
            load = replace(load, conns=self.most)
        if self.dialect == "raw":
            load = replace(load, deflate=False)
        return load


def python(environment: str, program: str) -> tuple[str, ...]:
    """The command of a Python peer, in its own environment."""
    return (str(OPT / environment / "bin" / "python"), str(SERVERS / program), "{port}")


OURS: Final = Path(os.environ.get("BENCH_PYTHON", sys.executable))
"""The interpreter whose *installed* txhixie is run: this one, or what BENCH_PYTHON names."""


def ours() -> tuple[str, ...]:
    """Our own server."""
    return (str(OURS), str(SERVERS / "txhixie_echo.py"), "{port}")


def c(program: str) -> tuple[str, ...]:
    """The command of a server in C."""
    return (str(OPT / program), "{port}")


def node(*options: str) -> tuple[str, ...]:
    """The command of the Node peer."""
    return ("node", str(SERVERS / "node_echo.js"), "{port}", *options)


def netty() -> tuple[str, ...]:
    """The command of the Netty peer, whose heap would else grow with the machine."""
    return ("java", "-Xmx512m", "-cp", f"{OPT}/netty:{OPT}/netty/lib/*", "NettyEcho", "{port}")


_WS: Final = {"NODE_PATH": str(OPT / "node" / "node_modules")}

PEERS: Final[dict[str, Peer]] = {
    # limits: no frames at all, or nothing but frames
    "c-raw": Peer("raw", c("c_raw")),
    "tx-raw": Peer("raw", python("twisted", "tx_raw.py")),
    "c-ws": Peer("rfc6455", c("c_ws")),
    # ours
    "txhixie": Peer("rfc6455", ours()),
    "txhixie-hixie76": Peer("hixie76", ours()),
    "txhixie-hixie75": Peer("hixie75", ours()),
    "txhixie-pure": Peer("rfc6455", ours(), environment={"TXHIXIE_PURE_PYTHON": "1"}),
    # on Twisted
    "autobahn": Peer(
        "rfc6455", python("autobahn", "autobahn_echo.py"), deflate=True, broadcast=True
    ),
    "twisted-web": Peer("rfc6455", python("twisted", "twisted_web_echo.py")),
    "txws": Peer("rfc6455", python("txws", "txws_echo.py"), text_only=True, fragments=False),
    "txws-hixie76": Peer("hixie76", python("txws", "txws_echo.py")),
    # on other Python loops
    "websockets": Peer(
        "rfc6455", python("asyncio", "websockets_echo.py"), deflate=True, broadcast=True
    ),
    "aiohttp": Peer("rfc6455", python("asyncio", "aiohttp_echo.py"), deflate=True),
    "picows": Peer("rfc6455", python("asyncio", "picows_echo.py")),
    "eventlet": Peer("rfc6455", python("eventlet", "eventlet_echo.py")),
    "eventlet-hixie76": Peer("hixie76", python("eventlet", "eventlet_echo.py")),
    "eventlet-hixie75": Peer("hixie75", python("eventlet", "eventlet_echo.py")),
    # in other languages
    "node-ws": Peer("rfc6455", node(), broadcast=True, environment=_WS),
    "node-ws-deflate": Peer("rfc6455", node("deflate"), deflate=True, environment=_WS),
    "netty": Peer("rfc6455", netty(), deflate=True),
}


def added(text: str, *, deflate: Iterable[str], broadcast: Iterable[str]) -> tuple[str, Peer]:
    """
    A peer from the command line: ``name[:dialect]=command``. It keeps PYTHONPATH, so that a
    checkout can be measured beside what is installed.

    :raises ValueError: when it is not of that form.
    """
    head, equals, command = text.partition("=")
    name, _, dialect = head.partition(":")
    dialect = dialect or "rfc6455"
    if not (equals and name and "{port}" in command):
        raise ValueError(f"not name[:dialect]=command with {{port}}: {text!r}")
    if dialect not in DIALECTS:
        raise ValueError(f"no dialect {dialect!r}; there are {', '.join(DIALECTS)}")
    peer = Peer(
        dialect,
        tuple(shlex.split(command)),
        deflate=name in deflate,
        broadcast=name in broadcast,
        installed=False,
    )
    return name, peer
