"""A browser of 2012 (PhantomJS 1.9.8), which runs a script with a plan and returns its events."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import run
from typing import Any, TypeAlias

from peers.peer import PATIENCE
from support import third_party

HERE = Path(__file__).parent

Seen: TypeAlias = dict[str, Any]
Browse: TypeAlias = Callable[..., Seen]


def browsing(directory: Path, patience: float = PATIENCE) -> Browse:
    """
    Run a script of ``phantom/`` to its end, and return the events that it recorded.

    :param patience: seconds until the browser is killed; the script gives up after half of them.
    """
    browser = third_party.phantomjs()

    def browse(script: str, **plan: object) -> Seen:
        file = directory / "plan.json"
        # The browser gives up first, and says how far it has come.
        file.write_text(json.dumps({"patience": patience * 500, **plan}), encoding="ascii")
        options = ["--ssl-certificates-path=/nonexistent", "--proxy-type=none"]
        done = run(
            [os.fspath(browser), *options, os.fspath(HERE / "phantom" / script), os.fspath(file)],
            # PhantomJS has an OpenSSL that must not read the configuration of the system's.
            env={**os.environ, "OPENSSL_CONF": "/dev/null", "HOME": str(directory)},
            capture_output=True,
            timeout=patience,
            check=True,
        )
        seen: Seen = json.loads(done.stdout)
        return seen

    return browse
