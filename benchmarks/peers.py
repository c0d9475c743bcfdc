"""The servers that are compared: one row for each. A new server is a row, and a file in servers/.

Every server takes its port as an argument, listens on 127.0.0.1 and echoes on ``/``: text as text,
binary as binary. Gateways have the same workloads, and are in gateways.py.
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
"""The directory into which install.sh installs the peers and ``wsload``."""

SERVERS: Final = Path(__file__).resolve().parent / "servers"
REFERENCE: Final = "tx-raw"
FRAGMENTING: Final = ("hybi07", "hybi08", "rfc6455")
DIALECTS: Final = ("raw", "hixie75", "hixie76", *FRAGMENTING)


@dataclass(frozen=True, slots=True)
class Peer:
    """
    One server in one dialect.

    :ivar command: the command that starts the server. ``{port}`` is replaced by its port,
        ``{backend}`` by the port of its backend, ``{directory}`` by a temporary directory, and
        ``{certificate}`` by a file with a certificate and its private key.
    :ivar backend: the command of a gateway's backend, which is not measured.
    :ivar stream: the server is a gateway to a byte stream: it takes binary messages only, and may
        cut the echoed bytes into frames anywhere.
    :ivar processes: number of processes that share the connections. The load has so many times as
        many connections: a process on a core of its own has as many as a server of one process.
    :ivar most: most connections that the server can hold; a larger load is reduced to these.
    :ivar text_only: the server cannot echo binary messages, and is sent text instead.
    :ivar fragments: the server joins fragmented messages.
    :ivar deflate: the server supports permessage-deflate.
    :ivar broadcast: the server sends a message of ``/broadcast`` to all connections there.
    :ivar others: the sender of such a message does not get it.
    :ivar echoes: the server echoes on ``/``.
    :ivar tls: the server's port is one of TLS.
    :ivar environment: environment variables of the server, besides those of this process.
    :ivar installed: the server runs the packages that are installed beside its interpreter, and
        does not get ``PYTHONPATH``.
    :ivar beside: the server of txhixie with which the pictures and tables compare this one.
    :ivar limit: the server shows a cost that every server has, and is no WebSocket server or
        gateway that a program could use.
    """

    dialect: str
    command: tuple[str, ...]
    backend: tuple[str, ...] = ()
    stream: bool = False
    processes: int = 1
    most: int = 1 << 16
    text_only: bool = False
    fragments: bool = True
    deflate: bool = False
    broadcast: bool = False
    others: bool = False
    echoes: bool = True
    tls: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    installed: bool = True
    beside: str = "txhixie"
    limit: bool = False

    def takes(self, load: Load) -> bool:
        """Whether the server can take this load, or an equivalent one."""
        if not (self.broadcast if load.mode == "broadcast" else self.echoes):
            return False
        if load.fragments > 1 and not (self.fragments and self.dialect in FRAGMENTING):
            return False
        # Bare TCP echoes deflated messages like any others: it stays the reference.
        return not load.deflate or self.deflate or self.dialect == "raw"

    def suited(self, load: Load) -> Load:
        """The load, changed to what this server can take."""
        if load.payload == "binary" and (self.text_only or self.dialect.startswith("hixie")):
            load = replace(load, payload="text")
        if self.others and load.mode == "broadcast":
            load = replace(load, others=True)
        if self.stream:
            load = replace(load, payload="binary", stream=True)
        load = replace(load, conns=min(load.conns * self.processes, self.most))
        if self.dialect == "raw":
            load = replace(load, deflate=False)
        return load


def python(environment: str, program: str, *words: str) -> tuple[str, ...]:
    """The command of a Python peer, in its own environment."""
    return (str(OPT / environment / "bin" / "python"), str(SERVERS / program), "{port}", *words)


OURS: Final = Path(os.environ.get("BENCH_PYTHON", sys.executable))
"""The interpreter with the *installed* txhixie: this one, or that of BENCH_PYTHON."""


def ours() -> tuple[str, ...]:
    """The command of txhixie's server."""
    return (str(OURS), str(SERVERS / "txhixie_echo.py"), "{port}")


def daemon(*services: str, workers: int = 1) -> tuple[str, ...]:
    """The command of the daemon, as an operator starts it."""
    twistd = (str(OURS.with_name("twistd")), "-n", "--pidfile=", "hixie")
    listens = ("--port", "tcp:{port}:interface=127.0.0.1", "--workers", str(workers))
    return (*twistd, *listens, *(word for each in services for word in ("--serve", each)))


def c(program: str) -> tuple[str, ...]:
    """The command of a server in C."""
    return (str(OPT / program), "{port}")


def node(*options: str) -> tuple[str, ...]:
    """The command of the Node peer."""
    return ("node", str(SERVERS / "node_echo.js"), "{port}", *options)


def netty() -> tuple[str, ...]:
    """The command of the Netty peer. The default size of its heap depends on the machine."""
    return ("java", "-Xmx512m", "-cp", f"{OPT}/netty:{OPT}/netty/lib/*", "NettyEcho", "{port}")


_WS: Final = {"NODE_PATH": str(OPT / "node" / "node_modules")}

PEERS: Final[dict[str, Peer]] = {
    # the limits: a server without frames, and a server that does nothing but frames
    "c-raw": Peer("raw", c("c_raw"), limit=True),
    "tx-raw": Peer("raw", python("twisted", "tx_raw.py"), limit=True),
    "c-ws": Peer("rfc6455", c("c_ws"), limit=True),
    "bare-send": Peer(
        "rfc6455", python("twisted", "bare_send.py"), broadcast=True, echoes=False, limit=True
    ),
    # txhixie
    "txhixie": Peer("rfc6455", ours(), deflate=True, broadcast=True),
    "txhixie-hixie76": Peer("hixie76", ours(), broadcast=True),
    "txhixie-hixie75": Peer("hixie75", ours(), broadcast=True),
    "txhixie-pure": Peer(
        "rfc6455", ours(), broadcast=True, environment={"TXHIXIE_PURE_PYTHON": "1"}
    ),
    "txhixie-poller-off": Peer(
        "rfc6455", ours(), deflate=True, broadcast=True, environment={"ECHO_POLLER": "off"}
    ),
    "txhixie-keep-memory": Peer(
        "rfc6455", ours(), deflate=True, broadcast=True, environment={"ECHO_KEEP_MEMORY": "on"}
    ),
    "txhixie-hub": Peer(
        "rfc6455", daemon("/broadcast=hub"), broadcast=True, others=True, echoes=False
    ),
    # the daemon as one process, and as a parent with two workers, all of whose CPU time counts
    "txhixie-daemon": Peer("rfc6455", daemon("/=echo")),
    "txhixie-workers": Peer("rfc6455", daemon("/=echo", workers=2), processes=2),
    # on Twisted
    "autobahn": Peer(
        "rfc6455", python("autobahn", "autobahn_echo.py"), deflate=True, broadcast=True
    ),
    "twisted-web": Peer("rfc6455", python("twisted", "twisted_web_echo.py")),
    "txws": Peer("rfc6455", python("txws", "txws_echo.py"), text_only=True, fragments=False),
    "txws-hixie76": Peer("hixie76", python("txws", "txws_echo.py"), beside="txhixie-hixie76"),
    "txws-text-hixie76": Peer(
        "hixie76", python("txws", "txws_echo.py", "text"), beside="txhixie-hixie76"
    ),
    # on other Python loops
    "websockets": Peer(
        "rfc6455", python("asyncio", "websockets_echo.py"), deflate=True, broadcast=True
    ),
    "websockets-uvloop": Peer(
        "rfc6455",
        python("asyncio", "websockets_echo.py", "uvloop"),
        deflate=True,
        broadcast=True,
    ),
    "aiohttp": Peer("rfc6455", python("asyncio", "aiohttp_echo.py"), deflate=True),
    "aiohttp-uvloop": Peer("rfc6455", python("asyncio", "aiohttp_echo.py", "uvloop"), deflate=True),
    "picows": Peer("rfc6455", python("asyncio", "picows_echo.py", "uvloop")),
    "picows-text": Peer("rfc6455", python("asyncio", "picows_echo.py", "uvloop", "text")),
    "eventlet": Peer("rfc6455", python("eventlet", "eventlet_echo.py")),
    "eventlet-hixie76": Peer(
        "hixie76", python("eventlet", "eventlet_echo.py"), beside="txhixie-hixie76"
    ),
    "eventlet-hixie75": Peer(
        "hixie75", python("eventlet", "eventlet_echo.py"), beside="txhixie-hixie75"
    ),
    # in other languages
    "node-ws": Peer("rfc6455", node(), broadcast=True, environment=_WS),
    "node-ws-deflate": Peer(
        "rfc6455", node("deflate"), deflate=True, broadcast=True, environment=_WS
    ),
    "netty": Peer("rfc6455", netty(), deflate=True),
}


def over_tls(name: str) -> Peer:
    """A server of the table with a port of TLS."""
    peer = PEERS[name]
    return replace(peer, command=(*peer.command, "{certificate}"), tls=True)


TLS_PEERS: Final = {
    name: over_tls(name)
    for name in (
        "tx-raw",
        "txhixie",
        "txhixie-hixie76",
        "txhixie-pure",
        "autobahn",
        "websockets",
        "websockets-uvloop",
        "aiohttp",
        "aiohttp-uvloop",
        "picows",
        "picows-text",
    )
}
"""The servers that are compared over TLS."""


def added(
    text: str, *, deflate: Iterable[str], broadcast: Iterable[str], stream: Iterable[str]
) -> tuple[str, Peer]:
    """
    A peer from the command line: ``name[:dialect]=command``. It keeps PYTHONPATH, so that a
    checkout can be measured beside what is installed. With ``{certificate}`` in its command its
    port is one of TLS, and with ``{backend}`` it is a gateway: to a TCP server if its name is among
    ``stream``, otherwise to one of RFC 6455.

    :raises ValueError: for another form, or an unknown dialect.
    """
    head, equals, command = text.partition("=")
    name, _, dialect = head.partition(":")
    dialect = dialect or "rfc6455"
    if not (equals and name and "{port}" in command):
        raise ValueError(f"expected name[:dialect]=command with {{port}}: {text!r}")
    if dialect not in DIALECTS:
        raise ValueError(f"unknown dialect {dialect!r}; expected one of {', '.join(DIALECTS)}")
    to_stream = name in stream
    peer = Peer(
        dialect,
        tuple(shlex.split(command)),
        backend=c("c_raw" if to_stream else "c_ws") if "{backend}" in command else (),
        stream=to_stream and dialect != "raw",
        beside=("txhixie-tcp" if to_stream else "txhixie-ws")
        if "{backend}" in command
        else "txhixie",
        deflate=name in deflate,
        broadcast=name in broadcast,
        tls="{certificate}" in command,
        installed=False,
    )
    return name, peer
