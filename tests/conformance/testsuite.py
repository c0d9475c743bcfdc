"""Runs the Autobahn testsuite against our server and our client, and judges its reports:

    .venv/bin/python tests/conformance/testsuite.py --cases all --side both

The suite runs under Python 2.7 only, in a virtual environment that is made for it in .components/
of the checkout, from PyPI alone. Our side runs under the interpreter that runs this, with the
txhixie that is installed there. The suite's reports, with a page for each case, and what both sides
have said are kept in artefacts/autobahn/ of the checkout.

Every case has to be OK or INFORMATIONAL, and so has its close: NON-STRICT is not enough, nor is
UNIMPLEMENTED, and no case may be left out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
REQUIREMENTS = HERE / "requirements.txt"
ENVIRONMENT = CHECKOUT / ".components" / "autobahntestsuite"
ARTEFACTS = CHECKOUT / "artefacts" / "autobahn"

VIRTUALENV = "virtualenv==20.15.1"  # the last that runs under 2.7

AGENT = "txhixie"
SIDES = ("server", "client")
PASSES = {"OK", "INFORMATIONAL"}
EXCLUDED: dict[str, list[str]] = {"all": [], "quick": ["12.*", "13.*"]}
COUNTS = {"all": 517, "quick": 301}  # of autobahntestsuite 25.10.1

PATIENCE = 60.0  # seconds to start listening, or to end
INSTALLATION = 900.0  # seconds to make the environment, a C extension included
DURATION = {"all": 7200.0, "quick": 900.0}  # seconds for one side, several times what it takes

PIP = """
try:
    import pip
except ImportError:
    import ensurepip
    ensurepip.bootstrap(user=True)
"""

# wstest, but its fuzzing server listens on the loopback interface alone: it has no such option.
WSTEST = """
from autobahntestsuite import choosereactor
from twisted.internet import reactor
listen = reactor.listenTCP
reactor.listenTCP = lambda port, factory, *more: listen(port, factory, interface="127.0.0.1")
from autobahntestsuite.wstest import run
run()
"""


class Broken(Exception):
    """There is nothing to judge: something could not be installed or started, or did not end."""


# The suite.


def environment(python27: Path) -> Path:
    """The interpreter of the suite's environment, which is made if it is not here."""
    interpreter = ENVIRONMENT / "bin" / "python"
    made = ENVIRONMENT / "made"  # written last: of what it was made
    wanted = f"{python27}\n{REQUIREMENTS.read_text()}"
    if made.exists() and made.read_text() == wanted:
        return interpreter
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    own = {**os.environ, "PYTHONUSERBASE": os.fspath(ENVIRONMENT / "virtualenv")}
    steps: list[list[str | Path]] = [
        [python27, "-c", PIP],
        [python27, "-m", "pip", "install", "--user", VIRTUALENV],
        [python27, "-m", "virtualenv", "--no-download", ENVIRONMENT],
        [interpreter, "-m", "pip", "install", "-r", REQUIREMENTS],
    ]
    for step in steps:
        words = [os.fspath(word) for word in step]
        try:
            subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=INSTALLATION,
                text=True,
                env=own,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise Broken(f"{' '.join(words)}: {error}\n{getattr(error, 'stdout', '')}") from None
    made.write_text(wanted)
    return interpreter


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(log: Path, *command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program, for as long as the block lasts; what it says goes into the log."""
    words = [os.fspath(word) for word in command]
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until it does."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise Broken(f"nothing listens on {port}; see {log}\n{log.read_text()[-2000:]}")


def finishes(process: subprocess.Popen[bytes], seconds: float, log: Path) -> None:
    """Wait until it has ended well."""
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise Broken(f"not done in {seconds:.0f} seconds; see {log}") from None
    if status != 0:
        raise Broken(f"status {status}; see {log}\n{log.read_text()[-2000:]}")


# The verdict.


@dataclass(frozen=True)
class Verdict:
    """The results of the report about the client or the server, each case with its details."""

    side: str
    expected: int
    cases: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, side: str, cases: str, reports: Path) -> Verdict:
        index = reports / "index.json"
        if not index.exists():
            raise Broken(f"there is no report in {reports}")
        found = {}
        for name, case in json.loads(index.read_text()).get(AGENT, {}).items():
            details = json.loads((reports / case["reportfile"]).read_text())
            found[name] = {**details, "page": reports / case["reportfile"].replace("json", "html")}
        order = sorted(found, key=lambda name: [int(part) for part in name.split(".")])
        return cls(side, COUNTS[cases], {name: found[name] for name in order})

    @property
    def informational(self) -> list[str]:
        """The cases that have no right answer."""
        return [name for name in self.cases if "INFORMATIONAL" in self._behaviours(name)]

    @property
    def wrong(self) -> list[str]:
        """A line for each case that did not pass, and for missing cases."""
        lines = [self._line(name) for name in self.cases if not self._behaviours(name) <= PASSES]
        if len(self.cases) != self.expected:
            lines.append(f"{len(self.cases)} cases were run instead of {self.expected}")
        return lines

    def __str__(self) -> str:
        counts = Counter(case["behavior"] for case in self.cases.values())
        closes = Counter(case["behaviorClose"] for case in self.cases.values())
        lines = [
            f"our {self.side}: {len(self.cases)} cases: {_sums(counts)}",
            f"    closes: {_sums(closes)}",
            f"    informational: {', '.join(self.informational) or 'none'}",
            *(f"    wrong: {line}" for line in self.wrong),
        ]
        return "\n".join(lines)

    def _behaviours(self, name: str) -> set[str]:
        case = self.cases[name]
        return {case["behavior"], case["behaviorClose"]}

    def _line(self, name: str) -> str:
        case = self.cases[name]
        return (
            f"{name} {case['behavior']} ({case['result']}), "
            f"close {case['behaviorClose']} ({case['resultClose']}): {case['page']}"
        )


def _sums(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


# Our sides.


def judge(side: str, cases: str, python27: Path) -> Verdict:
    """
    Run the suite against one side.

    :param side: ``server`` or ``client``.
    :param cases: ``all``, or ``quick``, which is without the 216 of compression (12 and 13).
    """
    suite = environment(python27)
    reports = ARTEFACTS / cases / side
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    port = free_port()
    url = f"ws://127.0.0.1:{port}"
    spec: dict[str, Any] = {"outdir": ".", "cases": ["*"], "exclude-cases": EXCLUDED[cases]}
    spec |= {"url": url} if side == "client" else {"servers": [{"url": url, "agent": AGENT}]}
    (reports / "spec.json").write_text(json.dumps(spec))
    ours, theirs = reports / "txhixie.log", reports / "wstest.log"
    wstest: list[str | Path] = [suite, "-u", "-c", WSTEST]
    wstest += ["--spec", "spec.json", "--webport", "0", "--mode"]
    if side == "server":
        program: list[str | Path] = [sys.executable, HERE / "echo_server.py", str(port)]
        with running(ours, *program) as server:
            listens(server, port, ours)
            with running(theirs, *wstest, "fuzzingclient") as client:
                finishes(client, DURATION[cases], theirs)
    else:
        program = [sys.executable, HERE / "echo_client.py", str(port), AGENT]
        with running(theirs, *wstest, "fuzzingserver") as server:
            listens(server, port, theirs)
            with running(ours, *program) as client:
                finishes(client, DURATION[cases], ours)
    if "Traceback" in ours.read_text():
        raise Broken(f"our side has raised; see {ours}")
    return Verdict.read(side, cases, reports)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--cases", choices=sorted(EXCLUDED), default="all")
    parser.add_argument("--side", choices=[*SIDES, "both"], default="both")
    options = parser.parse_args()

    sys.path.insert(0, os.fspath(HERE.parent))
    from support import third_party

    python27 = third_party.python27()
    if python27 is None:
        raise Broken("there is no Python 2.7: in PATH, of pyenv, or named by TXHIXIE_PYTHON27")
    right = True
    for side in SIDES if options.side == "both" else (options.side,):
        began = time.monotonic()
        verdict = judge(side, options.cases, python27)
        print(verdict, f"    {time.monotonic() - began:.0f} seconds", sep="\n", flush=True)
        right = right and not verdict.wrong
    return 0 if right else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Broken as broken:
        sys.exit(f"{Path(__file__).name}: {broken}")
