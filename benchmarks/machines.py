#!/usr/bin/env python3
"""
Measure a hub on two machines with a Redis between, each a network namespace of this machine. It
needs root, ip of iproute2 and redis-server.

  ./machines.py

A client of the one machine publishes 1,000 numbered messages, 100 in a second. Printed are the
milliseconds until a member of the same machine and one of the other have them, and what each gets
while a part is killed by SIGKILL and started again, without a history and with one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final, Self

MACHINES: Final = {"bench-a": "10.97.0.1", "bench-b": "10.97.0.2", "bench-r": "10.97.0.3"}
BRIDGE: Final = "bench-bridge"
SECONDS: Final = 0.01
CLIENT: Final = """
import asyncio, sys, time
from contextlib import suppress
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
async def main():
    for _ in range(100):
        try:
            peer = await connect(sys.argv[1], max_queue=None, proxy=None)
            break
        except OSError:
            await asyncio.sleep(0.2)
    async with peer:
        print("ready", flush=True)
        if sys.argv[2] == "listen":
            with suppress(ConnectionClosed):
                async for message in peer:
                    now = time.monotonic()
                    number, at = message.split()
                    print(number, now - float(at), flush=True)
        else:
            for number in range(int(sys.argv[2])):
                await peer.send(f"{number} {time.monotonic()}")
                await asyncio.sleep(0.01)
            await asyncio.sleep(1)
asyncio.run(main())
"""


def ip(words: str) -> None:
    """Run ip."""
    subprocess.run(["ip", *words.split()], check=True)  # noqa: S607


class Machines:
    """The namespaces and their processes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        """Make the namespaces, with a bridge between."""
        ip(f"link add {BRIDGE} type bridge")
        ip(f"link set {BRIDGE} up")
        for name, address in MACHINES.items():
            ip(f"netns add {name}")
            ip(f"link add {name} type veth peer name eth0 netns {name}")
            ip(f"link set {name} master {BRIDGE} up")
            ip(f"-n {name} addr add {address}/24 dev eth0")
            ip(f"-n {name} link set eth0 up")
            ip(f"-n {name} link set lo up")
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes, and remove the namespaces."""
        for each in self._processes:
            each.kill()
            each.wait()
        for name in MACHINES:
            with suppress(subprocess.CalledProcessError):
                ip(f"link del {name}")  # a namespace ends some time after its removal
            with suppress(subprocess.CalledProcessError):
                ip(f"netns del {name}")
        with suppress(subprocess.CalledProcessError):
            ip(f"link del {BRIDGE}")

    def run(self, machine: str, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start a program on a machine."""
        command = ["ip", "netns", "exec", machine, *words]
        process = subprocess.Popen(command, cwd=self._directory, text=True, **options)
        self._processes.append(process)
        return process

    def redis(self) -> subprocess.Popen[str]:
        """Start Redis."""
        quiet = {"stdout": subprocess.DEVNULL}
        words = ("--bind", MACHINES["bench-r"], "--protected-mode", "no", "--save", "")
        return self.run("bench-r", "redis-server", *words, **quiet)

    def daemon(self, machine: str, service: str) -> subprocess.Popen[str]:
        """Start a daemon."""
        twistd = str(Path(sys.executable).parent / "twistd")
        words = ("-n", "--pidfile=", "hixie", "--port", "8080", "--serve", f"/={service}")
        bus = ("--bus", f"redis://{MACHINES['bench-r']}")
        return self.run(machine, twistd, *words, *bus, stdout=subprocess.DEVNULL)

    def client(self, machine: str, what: str) -> subprocess.Popen[str]:
        """Start a client of the daemon of the same machine."""
        words = (sys.executable, "-c", CLIENT, f"ws://{MACHINES[machine]}:8080/room", what)
        client = self.run(machine, *words, stdout=subprocess.PIPE)
        assert client.stdout is not None
        if client.stdout.readline() != "ready\n":
            raise SystemExit(f"no client of {machine} could connect")
        return client


def heard(client: subprocess.Popen[str]) -> dict[int, float]:
    """End a client, and return its messages with their seconds."""
    client.terminate()
    assert client.stdout is not None
    lines = [line.split() for line in client.stdout]
    return {int(number): float(seconds) for number, seconds in lines}


def measure(service: str, killed: str, count: int) -> None:
    """Measure once, and print a line."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        machines = stack.enter_context(Machines(directory))
        redis = machines.redis()
        daemons = {each: machines.daemon(each, service) for each in ("bench-a", "bench-b")}
        time.sleep(4)
        same, other = machines.client("bench-a", "listen"), machines.client("bench-b", "listen")
        publisher = machines.client("bench-a", str(count))
        time.sleep(count * SECONDS / 4)
        if killed == "redis":
            redis.kill()
            redis.wait()
            time.sleep(1)
            machines.redis()
        elif killed == "daemon":
            daemons["bench-b"].kill()
        publisher.wait()
        got = {"same": heard(same), "other": heard(other)}
    words = [f"{service:<16} {killed or 'nothing':<8}"]
    for name, messages in got.items():
        times = sorted(1000 * each for each in messages.values()) or [0.0, 0.0]
        words.append(
            f"{name}: {len(messages):5} of {count}, {median(times):6.2f} ms, "
            f"p99 {quantiles(times, n=100)[98]:7.2f}"
        )
    print("  ".join(words), flush=True)


def main() -> None:
    """Measure."""
    for service in ("hub", "hub history=10"):
        for killed in ("", "redis", "daemon"):
            measure(service, killed, 1000)
    print(f"load average {os.getloadavg()[0]:.1f}")


main()
