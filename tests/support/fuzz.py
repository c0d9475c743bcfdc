"""
Compare the C functions of the package with their Python twins, on random input.

usage: PYTHONPATH=tests python -m support.fuzz SECONDS [--seed NUMBER] [--sanitize]

With ``--sanitize`` the C files are compiled with AddressSanitizer, which ends the program at a read
or a write outside of an object. A difference ends the program too, with the number that repeats it.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
MODULES: Final = (
    "txhixie.sansio.wire._wire",
    "txhixie.sansio.http._request",
    "txhixie.sockets._sockets",
)
_MOST_SENT: Final = 100_000
"""Most bytes of one read of a payload, all of which the kernel keeps until they are received."""

REPORT_EVERY: Final = 60.0
"""Seconds between two lines about the progress."""


def build(folder: str, name: str, sanitized: bool) -> ModuleType:
    """Compile the C files of a module, and import it in place of an installed one."""
    *packages, last = name.split(".")
    path = Path(folder) / f"{last}.abi3.so"
    flags = ["-O1", "-g", "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}"]
    if sanitized:
        flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    subprocess.run(["cc", *flags, *ROOT.joinpath(*packages).glob("*.c"), "-o", path], check=True)
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    return module


def again_with_sanitizer() -> None:
    """Replace this process by one in which AddressSanitizer sees each allocation of Python."""
    libraries = [
        subprocess.run(
            ["cc", f"-print-file-name={name}"], check=True, capture_output=True, text=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    changed = {
        "LD_PRELOAD": " ".join(libraries),
        "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": "detect_leaks=0",  # CPython does not free all at its end
    }
    if os.environ.get("LD_PRELOAD") != changed["LD_PRELOAD"]:
        command = [sys.executable, "-m", "support.fuzz", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, **changed})


def result(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """What a function returns, or the type of its exception."""
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        return type(error)


class Comparison:
    """Random calls of each pair of functions, and random reads of conversations and openings."""

    def __init__(self, c: ModuleType, request: ModuleType, sockets: ModuleType) -> None:
        # Imported here, since the C module that they use was not built before.
        from support.conversation_driver import ConversationDriver
        from support.message_streams import long_stream, payload, stream
        from support.plain_requests import changed_request, check
        from txhixie.sansio.limits import Limits
        from txhixie.sansio.wire import (
            hixie_batch,
            hybi_batch,
            joined_texts,
            mask,
            message_batch,
        )

        assert message_batch.read_messages is c.read_messages
        self._driver, self._stream, self._payload = ConversationDriver, stream, payload
        self._limits = Limits(message_size=5000, turn_size=20_000)
        self._long_stream, self._receive_payload = long_stream, sockets.receive_payload
        self._large = Limits(message_size=400_000, turn_size=300_000)
        self._request, self._check, self._read = changed_request, check, request.read_upgrade
        modules = hybi_batch, hixie_batch, joined_texts, mask, message_batch
        self._pairs = {
            name: (getattr(c, name), getattr(module, f"{name}_in_python"))
            for module in modules
            for name in dir(c)
            if hasattr(module, f"{name}_in_python")
        }
        assert len(self._pairs) == len([name for name in dir(c) if not name.startswith("_")])

    def same(self, name: str, *arguments: Any) -> None:
        """Call both functions of a pair."""
        in_c, in_python = (result(function, arguments) for function in self._pairs[name])
        assert in_c == in_python, (name, arguments, in_c, in_python)

    def compare(self, random: Random) -> None:
        """Compare all functions on one input."""
        row = random.choice(["rfc6455", "hixie-76"])
        masked = random.random() < 0.7
        chunks = self._stream(random, row, masked)
        data = b"".join(chunks)
        position = random.choice([0, 0, random.randrange(len(data) + 1)])
        limit = random.choice([0, 10, 300, 5000, 1 << 20])
        most = random.choice([0, 1, 2, 63, 64])
        self.same("read_plain", data, position, limit, masked)
        self.same("read_messages", limit, masked, data, position, most)
        self.same("read_texts", data, position, limit)
        self.same("read_text_messages", limit, data, position, most)
        content, key = self._payload(random), random.randbytes(4)
        self.same("mask", content, key)
        opcode, reserved = random.choice([0, 1, 2, 8, 9, 10]), random.choice([0, 0x40])
        self.same("write_plain", opcode, content, random.random() < 0.5, reserved)
        self.same("write_plain", opcode, content, random.random() < 0.5, reserved, key)
        text = content.decode("utf-8", random.choice(["replace", "surrogateescape"]))
        for _ in range(random.choice([1, 2, 20]) if random.random() < 0.99 else 1000):
            name = random.choice(["join_text", "join_text", "join_hixie_text"])
            piece = text[random.randrange(len(text) + 1) :]
            self.same(name, piece, random.choice([-1, 0, 10, len(piece), 16383, 70_000]))
        self.same("take_joined")
        self.converse(random, row, masked, chunks)
        if random.random() < 0.02:
            self.receive_payloads(random, masked)
        for _ in range(5):
            self._check(self._request(random), self._read)

    def converse(self, random: Random, row: str, masked: bool, chunks: list[bytes]) -> None:
        """Compare the short way of whole messages with the usual way."""
        side = "server" if masked else "client"
        usual, short = (self._driver(row, side, self._limits) for _ in range(2))
        usual.receive(*chunks)
        most = random.choice([0, 1, 5, 64, 1000])
        short.receive_whole(*chunks, anew=random.random() < 0.7, most=most)
        assert short.heard == usual.heard, (row, side, chunks)
        assert short.effects.events == usual.effects.events, (row, side, chunks)
        assert short.conversation.ended == usual.conversation.ended, (row, side, chunks)

    def receive_payloads(self, random: Random, masked: bool) -> None:
        """Compare long payloads that are received into their messages with the usual way."""
        side, chunks = "server" if masked else "client", self._long_stream(random, masked)
        usual, into = (self._driver("rfc6455", side, self._large) for _ in range(2))
        usual.receive(*chunks)
        ours, theirs = socket.socketpair()

        def receive(
            payload: bytes, start: int, size: int, key: bytes, data: bytes
        ) -> tuple[bytes, int]:
            room = (size if len(payload) == start else len(payload)) - start
            sent = theirs.send(data[: min(room, _MOST_SENT)])
            received: tuple[bytes, int] = self._receive_payload(ours, payload, start, size, key)
            assert received[1] == sent
            return received

        with ours, theirs:
            into.receive_payloads(*chunks, receive=receive)
        assert into.heard == usual.heard, (side, chunks)
        assert into.effects.events == usual.effects.events, (side, chunks)
        assert into.conversation.ended == usual.conversation.ended, (side, chunks)


def main() -> None:
    """Compare for the given time."""
    parser = argparse.ArgumentParser(description="Compare the C functions with Python.")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--seed", type=int, default=None, help="repeat one input")
    parser.add_argument("--sanitize", action="store_true", help="use AddressSanitizer")
    options = parser.parse_args()
    if options.sanitize:
        again_with_sanitizer()
    with TemporaryDirectory(prefix="txhixie-fuzz-") as folder:
        comparison = Comparison(*(build(folder, name, options.sanitize) for name in MODULES))
        began = told = time.monotonic()
        first = seed = time.time_ns() if options.seed is None else options.seed
        while True:
            try:
                comparison.compare(Random(seed))
            except AssertionError:
                print(f"difference: --seed {seed}", flush=True)
                raise
            seed += 1
            now = time.monotonic()
            is_over = options.seed is not None or now - began >= options.seconds
            if is_over or now - told >= REPORT_EVERY:
                told = now
                print(f"{seed - first} inputs, {now - began:.0f} s, no difference", flush=True)
            if is_over:
                return


if __name__ == "__main__":
    main()
