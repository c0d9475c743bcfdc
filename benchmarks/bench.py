#!/usr/bin/env python3
"""
Compare WebSocket echo servers, and gateways, on one machine, over loopback. Standard library only.

  ./bench.py --smoke                      every server, every echoed byte compared
  ./bench.py                              every server, the usual workloads: 15 minutes
  ./bench.py --gateways                   every gateway, each before an echo server in C
  ./bench.py --tls                        the servers over TLS
  ./bench.py --only txhixie,autobahn --workloads a,c --rounds 3
  ./bench.py --server 'mine:hixie76=/venv/bin/python echo.py {port}' --only txws-hixie76
  ./bench.py --list                       servers and workloads

install.sh provides the other servers. README.rst says how to read the tables.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from figures import is_idle
from gateways import GATEWAYS
from gateways import REFERENCE as GATEWAY
from peers import OPT, PEERS, REFERENCE, TLS_PEERS, Peer, added
from plot import bars, overview
from rounds import Rounds
from server import Place
from tables import markdown, rst
from workloads import USUAL, USUAL_THROUGH, WORKLOADS

if TYPE_CHECKING:
    from server import Sample


KEPT: Final = (
    *("server", "workload", "round", "rate", "mbps", "p50_us", "p99_us", "srv_cpu_us_per_msg"),
    *("srv_util", "srv_wait", "cli_util", "cli_wait", "memory_per_conn", "errors", "first_error"),
)
"""The fields of a sample that ``--json`` stores: those of the tables, and the noise."""

PACKAGES: Final = (
    *("aiohttp", "autobahn", "eventlet", "picows", "twisted", "txws", "uvloop", "websockets"),
    *("websockify", "wsproto"),
)
"""The packages of which ``--json`` stores the version."""


def main() -> int:
    """Run the command. Return the exit status: 1 if a server failed or was left out, else 0."""
    parser = command_line()
    options = parser.parse_args()
    if options.render:
        return write(json.loads(options.render.read_text()), options)
    try:
        peers = chosen_peers(options)
        workloads = chosen_workloads(options)
    except ValueError as error:
        parser.error(str(error))
    if options.list:
        return show(peers)
    if not (OPT / "wsload").exists():
        parser.error(f"no wsload in {OPT}: run install.sh first, or set BENCH_OPT")
    prepare()
    with ExitStack() as files:
        log = files.enter_context(options.log.open("ab")) if options.log else None
        place = Place(options.server_core, options.client_core, log)
        rounds = Rounds(peers, workloads, place, options.rounds, options.seconds, options.warmup)
        if options.smoke:
            return int(rounds.smoke() > 0)
        return measure(rounds, options)


def command_line() -> argparse.ArgumentParser:
    """The parser of the command line; its help begins with the docstring of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_argument_group("what to do")
    what.add_argument(
        "--smoke", action="store_true", help="compare the echoes of all servers, and exit"
    )
    what.add_argument("--list", action="store_true", help="list servers and workloads, and exit")
    what.add_argument(
        "--render", type=Path, metavar="FILE", help="write the tables of a file of --json"
    )
    add_choices(parser.add_argument_group("what to compare"))
    add_measures(parser.add_argument_group("how to measure"))
    output = parser.add_argument_group("output")
    output.add_argument("--json", type=Path, help="every sample")
    output.add_argument("--md", type=Path, help="the tables in Markdown, which are printed as well")
    output.add_argument("--rst", type=Path, help="the tables in reStructuredText")
    output.add_argument(
        "--plot", type=Path, help="a picture of all servers in all workloads beside txhixie, SVG"
    )
    output.add_argument(
        "--bars", type=Path, metavar="DIRECTORY", help="a picture of each workload, SVG"
    )
    output.add_argument("--log", type=Path, help="the servers' output")
    output.add_argument("-v", "--verbose", action="store_true", help="a line for each sample")
    return parser


def add_choices(group: argparse._ArgumentGroup) -> None:
    """Add the options that choose servers and workloads."""
    group.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="NAME[:DIALECT]=COMMAND",
        help="a further server; {port} in the command is replaced; default dialect: rfc6455. With "
        "{certificate} its port is one of TLS, with {backend} it is a gateway",
    )
    group.add_argument(
        "--stream-server",
        action="append",
        default=[],
        metavar="NAME",
        help="a --server that is a gateway to a TCP server, and not to a WebSocket server",
    )
    group.add_argument(
        "--deflate-server",
        action="append",
        default=[],
        metavar="NAME",
        help="a --server that supports permessage-deflate",
    )
    group.add_argument(
        "--broadcast-server",
        action="append",
        default=[],
        metavar="NAME",
        help="a --server that sends each message of /broadcast to all connections there",
    )
    group.add_argument(
        "--only",
        metavar="NAMES",
        help="servers to run, separated by commas; the reference and each --server always run",
    )
    kind = group.add_mutually_exclusive_group()
    kind.add_argument("--gateways", action="store_true", help="compare gateways instead of servers")
    kind.add_argument("--tls", action="store_true", help="compare servers over TLS")
    group.add_argument(
        "--workloads", metavar="LETTERS", help="workloads to run, separated by commas"
    )
    group.add_argument(
        "--reference", metavar="NAME", help=f"default: {REFERENCE}, or {GATEWAY} for gateways"
    )


def add_measures(group: argparse._ArgumentGroup) -> None:
    """Add the options for rounds, durations and processor cores."""
    cores = sorted(os.sched_getaffinity(0))
    group.add_argument("--rounds", type=int, default=5)
    group.add_argument("--seconds", type=float, default=1.0, help="length of one sample")
    group.add_argument("--warmup", type=float, default=0.25, help="seconds before each sample")
    group.add_argument("--server-core", type=int, default=cores[0])
    group.add_argument("--client-core", type=int, default=cores[-1])


def chosen_peers(options: argparse.Namespace) -> dict[str, Peer]:
    """
    The servers to compare, in the order of the table.

    :raises ValueError: for an unknown name.
    """
    more = dict(
        added(
            text,
            deflate=options.deflate_server,
            broadcast=options.broadcast_server,
            stream=options.stream_server,
        )
        for text in options.server
    )
    table = GATEWAYS if options.gateways else TLS_PEERS if options.tls else PEERS
    known = table | more
    if options.reference is None:
        options.reference = GATEWAY if options.gateways else REFERENCE
    wanted = set(options.only.split(",") if options.only else known) | set(more)
    wanted.add(options.reference)
    if unknown := wanted - set(known):
        raise ValueError(f"unknown servers: {', '.join(sorted(unknown))}")
    return {name: peer for name, peer in known.items() if name in wanted}


def chosen_workloads(options: argparse.Namespace) -> list[str]:
    """
    The workloads to run, in the order given.

    :raises ValueError: for an unknown letter.
    """
    usual = USUAL_THROUGH if options.gateways else USUAL
    letters: list[str] = options.workloads.split(",") if options.workloads else [*usual]
    if unknown := set(letters) - set(WORKLOADS):
        raise ValueError(f"unknown workloads: {', '.join(sorted(unknown))}")
    return letters


def prepare() -> None:
    """Raise the limit of open files for 5000 connections, and let signals stop the servers."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)


def leave(number: int, _: object) -> NoReturn:
    """Exit on a signal, by an exception, so that the servers are stopped."""
    raise SystemExit(128 + number)


def show(peers: dict[str, Peer]) -> int:
    """Print the names of servers and workloads."""
    for name, peer in peers.items():
        print(f"{name:<20} {peer.dialect:<8} {' '.join(peer.command)}")
    for letter, workload in WORKLOADS.items():
        print(f"{letter:<20} {workload.title}")
    return 0


def measure(rounds: Rounds, options: argparse.Namespace) -> int:
    """Take all samples, and write the outputs that the options name."""
    started, loads = time.strftime("%Y-%m-%d %H:%M"), [os.getloadavg()[0]]

    def taken(sample: Sample) -> None:
        loads.append(os.getloadavg()[0])
        if options.verbose:
            tell(sample)

    samples = rounds.measure(taken)
    results = {
        "date": started,
        "machine": machine(),
        "reference": options.reference,
        "rounds": rounds.count,
        "seconds": rounds.seconds,
        "load": [min(loads), max(loads)],
        "commit": commit(),
        "versions": versions(),
        "servers": {
            name: {"dialect": peer.dialect, "beside": peer.beside, "limit": peer.limit}
            for name, peer in rounds.peers.items()
        },
        "missing": rounds.missing,
        "samples": [{key: sample[key] for key in KEPT if key in sample} for sample in samples],
    }
    return write(results, options)


def write(results: dict[str, Any], options: argparse.Namespace) -> int:
    """Write the tables and the samples, and return the exit status."""
    if options.json:
        options.json.write_text(as_json(results))
    if options.md:
        options.md.write_text(markdown(results))
    if options.rst:
        options.rst.write_text(rst(results))
    if options.plot:
        options.plot.write_text(overview(results))
    if options.bars:
        for letter, picture in bars(results).items():
            (options.bars / f"{letter}.svg").write_text(picture)
    print(markdown(results))
    return int(bool(results["missing"]) or any(s["errors"] for s in results["samples"]))


def as_json(results: dict[str, Any]) -> str:
    """A run as JSON, one sample in a line."""
    head = json.dumps({**results, "samples": []}, indent=1)
    samples = ",\n".join(json.dumps(sample) for sample in results["samples"])
    return head.replace('"samples": []', f'"samples": [\n{samples}\n]') + "\n"


def tell(sample: Sample) -> None:
    """Print a line about a sample as soon as it was taken."""
    idle = is_idle(sample["workload"])
    figure = sample.get("memory_per_conn" if idle else "rate", 0)
    print(
        f"{sample['workload']:<2} round {sample['round']} {sample['server']:<20} {figure:>11.1f}"
        f"  CPU us {sample.get('srv_cpu_us_per_msg', 0):8.2f}"
        f"  busy {sample.get('srv_util', 0):.2f}/{sample.get('cli_util', 0):.2f}"
        f"  waited {sample.get('srv_wait', 0):.2f}/{sample.get('cli_wait', 0):.2f}"
        f"  {sample['first_error']}",
        file=sys.stderr,
        flush=True,
    )


def commit() -> str:
    """The commit of this checkout; empty without one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def versions() -> dict[str, str]:
    """The versions of the peers that install.sh has installed from PyPI and npm."""
    found = {}
    for info in OPT.glob("*/lib/python*/site-packages/*.dist-info"):
        name, _, version = info.stem.rpartition("-")
        if name.lower() in PACKAGES:
            found[name.lower()] = version
    package = OPT / "node" / "node_modules" / "ws" / "package.json"
    if package.exists():
        found["ws"] = json.loads(package.read_text())["version"]
    return dict(sorted(found.items()))


def machine() -> str:
    """The processor and the versions of Linux and Python, on which figures depend."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return (
        f"{next(models, 'unknown processor')}, {os.cpu_count()} cores, "
        f"Linux {platform.release()}, Python {platform.python_version()}"
    )


if __name__ == "__main__":
    sys.exit(main())
