"""The recording of examinations, a JSON file that a report can carry."""

from __future__ import annotations

import json
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from .examination import Examination

MOST_RECORDED: Final = 100
"""Most connections in a recording; later ones are counted."""


class Recording:
    """A file with all examinations, written anew after each."""

    def __init__(self, path: str) -> None:
        """
        :param path: the path of the file.
        :raises OSError: if the file cannot be opened for writing.
        """
        self._file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115 (closed by close)
        self._connections: list[dict[str, Any]] = []
        self._more = 0

    def add(self, examination: Examination, now: datetime) -> None:
        """
        Add an examination, and write the file.

        :param now: the time at which the connection ended.
        :raises OSError: if the file cannot be written.
        """
        if len(self._connections) == MOST_RECORDED:
            self._more += 1
        else:
            ended = now.isoformat(timespec="milliseconds")
            self._connections.append({"ended": ended, **examination.recorded()})
        self._write()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self) -> None:
        content = {
            "program": f"txhixie {version('txhixie')}",
            "connections": self._connections,
            "not_recorded": self._more,
        }
        self._file.seek(0)
        self._file.truncate()
        json.dump(content, self._file, indent=2)
        self._file.write("\n")
        self._file.flush()
