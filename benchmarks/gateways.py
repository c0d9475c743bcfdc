"""The gateways that are compared: one row for each. Their backends are in C, on another core.

A gateway takes two ports as arguments, its own and its backend's. For a client a gateway is an echo
server like those of peers.py, and has the same workloads.
"""

from __future__ import annotations

from typing import Final

from peers import OPT, SERVERS, Peer, c, daemon, python

REFERENCE: Final = "tx-forward"
TCP: Final = "txhixie-tcp"
WS: Final = "txhixie-ws"

_ECHO: Final = c("c_ws")
_BYTES: Final = c("c_raw")
_PURE: Final = {"TXHIXIE_PURE_PYTHON": "1"}


def ours(scheme: str) -> tuple[str, ...]:
    """The command of a gateway of txhixie."""
    return daemon(f"/={scheme}127.0.0.1:{{backend}}")


def websockify() -> tuple[str, ...]:
    """
    The command of websockify, which has a process for each connection. With more than about 700
    connections its processes end with "filedescriptor out of range in select()".
    """
    program = str(OPT / "websockify" / "bin" / "websockify")
    return (program, "127.0.0.1:{port}", "127.0.0.1:{backend}")


def nginx() -> tuple[str, ...]:
    """The command of nginx, a master and one worker. After a 101 nginx passes on bytes."""
    return ("sh", str(SERVERS / "nginx.sh"), "{port}", "{backend}", "{directory}")


GATEWAYS: Final[dict[str, Peer]] = {
    # the limit: a proxy of bytes, without frames
    "tx-forward": Peer(
        "raw",
        (*python("twisted", "tx_forward.py"), "{backend}"),
        backend=_BYTES,
        beside=TCP,
        limit=True,
    ),
    # WebSocket to a stream of bytes
    TCP: Peer("rfc6455", ours("tcp:"), backend=_BYTES, stream=True, beside=TCP),
    "txhixie-tcp-pure": Peer(
        "rfc6455", ours("tcp:"), backend=_BYTES, stream=True, environment=_PURE, beside=TCP
    ),
    "websockify": Peer("rfc6455", websockify(), backend=_BYTES, stream=True, most=500, beside=TCP),
    # WebSocket to WebSocket
    WS: Peer("rfc6455", ours("ws://"), backend=_ECHO, beside=WS),
    "txhixie-ws-pure": Peer("rfc6455", ours("ws://"), backend=_ECHO, environment=_PURE, beside=WS),
    "txhixie-ws-hixie76": Peer("hixie76", ours("ws://"), backend=_ECHO, beside=WS),
    "txhixie-ws-hixie76-pure": Peer(
        "hixie76", ours("ws://"), backend=_ECHO, environment=_PURE, beside=WS
    ),
    "nginx": Peer("rfc6455", nginx(), backend=_ECHO, beside=WS),
}
