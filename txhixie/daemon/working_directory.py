"""Working directory of the process, which ``twistd --rundir`` changes after the start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import CannotStart


def working_directory() -> Path | None:
    """Return the working directory; ``None`` for one that was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


@contextmanager
def in_directory(directory: Path | None) -> Iterator[None]:
    """
    Have a working directory for a while.

    :raises CannotStart: when the process may not enter the directory any more.
    """
    now = working_directory()
    if directory is None or now == directory:
        yield
        return
    try:
        os.chdir(directory)
    except OSError as error:
        raise CannotStart(
            f"hixie: {directory}: expected the directory of the start: {error.strerror}"
        ) from None
    try:
        yield
    finally:
        if now is not None:
            os.chdir(now)
