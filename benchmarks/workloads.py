"""The workloads: one row for each. A workload does not depend on a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Load:
    """
    One pattern of traffic, as ``wsload`` makes it.

    :ivar window: messages in flight on each connection.
    :ivar size: bytes of one message before masking and deflate.
    :ivar fragments: number of frames of one message (not in the Hixie dialects).
    :ivar stream: the echo is compared as bytes, since a byte stream may cut frames anywhere.
    :ivar mode: ``window`` echoes, ``storm`` opens and closes, ``idle`` holds connections open,
        ``broadcast`` sends on one connection and waits for the message on all of them.
    :ivar others: the sender of a broadcast does not get its own message.
    """

    conns: int
    window: int = 1
    size: int = 32
    payload: Literal["text", "utf8", "binary"] = "text"
    mode: Literal["window", "storm", "idle", "broadcast"] = "window"
    deflate: bool = False
    fragments: int = 1
    stream: bool = False
    others: bool = False

    def arguments(self) -> list[str]:
        """The load as arguments of ``wsload``."""
        words = f"-c {self.conns} -w {self.window} -s {self.size} --{self.payload}".split()
        if self.mode != "window":
            words += ["--mode", self.mode]
        if self.mode == "idle":
            # One echo each: memory that a server allocates at the first message is counted.
            words.append("--touch")
        if self.mode == "broadcast":
            words += ["--path", "/broadcast"]
        if self.others:
            words.append("--others")
        if self.deflate:
            words.append("--deflate")
        if self.fragments > 1:
            words += ["--frag", str(self.fragments)]
        if self.stream:
            words.append("--stream")
        return words


@dataclass(frozen=True, slots=True)
class Workload:
    """
    A load, with the title and the unit of its table.

    :ivar short: the title for the column of a picture.
    """

    title: str
    short: str
    load: Load
    unit: str = "messages/s"


WORKLOADS: Final = {
    "a": Workload("64 connections, window 1, 32 B text", "32 B, single", Load(64)),
    "b": Workload("1 connection, ping-pong, 32 B text", "32 B, ping-pong", Load(1)),
    "c": Workload("16 connections, window 16, 128 B text", "128 B, many", Load(16, 16, 128)),
    "d": Workload(
        "1 connection, window 4, 1 MiB binary", "1 MiB binary", Load(1, 4, 1 << 20, "binary")
    ),
    "e": Workload(
        "4 connections, window 4, 64 KiB binary", "64 KiB binary", Load(4, 4, 1 << 16, "binary")
    ),
    "f": Workload("handshakes, 32 in flight", "handshakes", Load(32, mode="storm"), "handshakes/s"),
    "g": Workload(
        "5000 idle connections", "idle memory", Load(5000, mode="idle"), "B per connection"
    ),
    "h": Workload(
        "permessage-deflate, 8 connections, window 4, 4 KiB text",
        "4 KiB deflate",
        Load(8, 4, 4096, deflate=True),
    ),
    "k1": Workload("16 connections, window 4, 1 KiB text", "1 KiB text", Load(16, 4, 1024)),
    "k4": Workload("8 connections, window 4, 4 KiB text", "4 KiB text", Load(8, 4, 4096)),
    "u4": Workload(
        "8 connections, window 4, 4 KiB multi-byte text",
        "4 KiB multi-byte",
        Load(8, 4, 4096, "utf8"),
    ),
    "n": Workload("2000 connections, window 1, 32 B text", "2000 connections", Load(2000)),
    "ng": Workload(
        "2000 idle connections", "idle memory", Load(2000, mode="idle"), "B per connection"
    ),
    "br": Workload(
        "broadcast to 500, window 2, 128 B text",
        "broadcast to 500",
        Load(500, 2, 128, mode="broadcast"),
    ),
    "br1": Workload(
        "broadcast to 500, window 1, 128 B text",
        "broadcast, single",
        Load(500, 1, 128, mode="broadcast"),
    ),
    "br16": Workload(
        "broadcast to 500, window 16, 128 B text",
        "broadcast, many",
        Load(500, 16, 128, mode="broadcast"),
    ),
    "br5": Workload(
        "broadcast to 5000, window 2, 128 B text",
        "broadcast to 5000",
        Load(5000, 2, 128, mode="broadcast"),
    ),
    "brz": Workload(
        "broadcast to 500, window 2, 128 B text, permessage-deflate",
        "broadcast, deflate",
        Load(500, 2, 128, mode="broadcast", deflate=True),
    ),
}

USUAL: Final = ("a", "b", "c", "d", "e", "f", "g", "h")
"""The workloads by default: about 15 minutes for all servers."""

USUAL_THROUGH: Final = ("a", "c", "k4", "e", "n", "ng")
"""The workloads of gateways by default."""

SMOKE: Final = (
    Load(4, 4, 32),
    # The two sides of the first length that needs an extended field.
    Load(2, 2, 125),
    Load(2, 2, 126),
    Load(2, 3, 1 << 16, "binary"),
    Load(1, 2, 300_000, "utf8"),
    Load(2, 2, 4096, fragments=3),
    Load(4, 4, 4096, deflate=True),
    Load(8, mode="storm"),
    Load(8, 2, 128, mode="broadcast"),
)
"""Short loads for a check of all echoed bytes, before anything is measured."""
