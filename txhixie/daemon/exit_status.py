"""Exit status of the daemon after a failure while its reactor runs.

``twistd`` and ``twist`` end with status 0 whenever the reactor was stopped.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from contextlib import suppress


def end_with(status: int) -> None:
    """Have this process end with an exit status, when the program has ended by itself."""
    atexit.register(_end, status)


def _end(status: int) -> None:
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(status)
