"""A file of targets, or a directory of such files, which is read again when it changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from ..connection.log import Uncut, writeLine
from .guards.changing_file import LOOK_INTERVAL
from .target_file import is_unfinished, merged, parse_targets, read_file, without_last_line

SETTLED: Final = 1.0
"""Seconds since the last change of a file after which its last line counts even without an end."""

_PAUSES: Final = 20
"""Least times the duration of a look that pass until the next look: looks at a directory of 10,000
files then take a twentieth of the time of the processor at most."""

State = tuple[int, ...]


@dataclass(slots=True)
class _File:
    """
    One file of targets.

    :ivar state: time of its last change in nanoseconds, inode and size.
    :ivar targets: its targets by their tokens; those before a mistake in the file.
    """

    state: State | None = None
    targets: dict[str, str] = field(default_factory=dict)


class TargetFiles:
    """
    The targets of a file, or of all files of a directory.

    The files are looked at when a target is looked up, so there is no timer that has to be ended:
    at most once a second for a known token, and at once for an unknown one, since the token may be
    a second old. Only changed files are read. A file with a mistake keeps its targets from before
    the mistake, with one line of the log.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        path: Path,
        wall: Callable[[], float],
        check: Callable[[str], object],
        normal: Callable[[str], str] = str,
    ) -> None:
        """
        Read the files.

        :param clock: measures the time between two looks.
        :param path: the file or the directory.
        :param wall: returns the time since 1970 in seconds, with which the change of a file is
            compared.
        :param check: checks a target, as for
            :func:`txhixie.daemon.target_file.parse_targets`.
        :param normal: returns the normal form of a token, such as of a host name.
        :raises ValueError: "expected ..." for a mistake, with the file and the number of the line.
        """
        self._clock = clock
        self._path = path.absolute()  # twistd --rundir changes the working directory later
        self._wall = wall
        self._check = check
        self._normal = normal
        self._files: dict[Path, _File] = {}
        self._problem: object = None  # the mistake of the whole directory that is in the log
        self._targets: dict[str, str] = {}
        self._unfinished: set[Path] = set()  # files with a last line that is still to be read
        self._mistaken: set[Path] = set()  # files that were not read since their last change
        self._looked = self._next = self._soonest = 0.0
        self._mistake: Callable[[Path, str], object] = _raise
        self._look()
        self._mistake = self._tell

    def find(self, token: str, since: float | None = None) -> str | float | None:
        """
        Return the target of a token.

        The time of a lookup tells nothing about other tokens: Python hashes texts with a random
        key, and compares only those of the same hash.

        :param token: the token.
        :param since: time of the clock at which the client came; ``None`` for now.
        :return: the target; ``None`` for an unknown token; or the seconds after which to ask again,
            since the files may have the token, and cannot be read at this moment.
        """
        now, token = self._clock.seconds(), self._normal(token)
        if now >= self._next:
            self._look()
        target = self._targets.get(token)
        if target is not None:
            return target
        if now >= self._soonest:
            self._look()
            target = self._targets.get(token)
        elif self._looked <= (now if since is None else since):
            return self._soonest - now
        return SETTLED if target is None and self._unfinished else target

    @property
    def hasMistake(self) -> bool:
        """Whether a file has a mistake, so that targets of the file may be missing."""
        return self._problem is not None or bool(self._mistaken)

    def _look(self) -> None:
        """Read the files that have changed."""
        began = self._clock.seconds()
        try:
            states = self._states()
        except OSError as error:
            if self._problem != error.errno:
                self._problem = error.errno
                why = f"expected a file of targets, or a directory of such files: {error.strerror}"
                self._mistake(self._path, why)
        else:
            self._problem = None
            self._update(states)
        self._looked = began
        ended = self._clock.seconds()
        self._soonest = ended + _PAUSES * (ended - began)
        self._next = max(began + LOOK_INTERVAL, self._soonest)

    def _update(self, states: Mapping[Path, State]) -> None:
        gone = self._files.keys() - states.keys()
        for path in gone:
            del self._files[path]
            self._unfinished.discard(path)
            self._mistaken.discard(path)
        changed = [path for path, state in states.items() if self._isToRead(path, state)]
        for path in changed:
            file = self._files.setdefault(path, _File())
            file.state = states[path]
            self._read(path, file)
        if gone or changed:
            self._targets = merged({path: each.targets for path, each in self._files.items()})

    def _isToRead(self, path: Path, state: State) -> bool:
        file = self._files.get(path)
        if file is None or file.state != state:
            return True
        return path in self._unfinished and not self._isFresh(state)

    def _isFresh(self, state: State) -> bool:
        """Whether a file was changed a moment ago."""
        return 0 <= self._wall() - state[0] / 1e9 < SETTLED

    def _states(self) -> dict[Path, State]:
        """
        Return the states of all files.

        Subdirectories are left out, and names that begin with a dot or end with a tilde: editors
        and Kubernetes keep such files beside others.
        """
        if not self._path.is_dir():
            return {self._path: _state(self._path.stat())}
        found = {}
        with os.scandir(self._path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.endswith("~"):
                    continue
                try:
                    if not entry.is_dir():
                        found[Path(entry.path)] = _state(entry.stat())
                except FileNotFoundError:
                    continue  # removed since the directory was read, or a link to nothing
        return found

    def _read(self, path: Path, file: _File) -> None:
        self._unfinished.discard(path)
        self._mistaken.discard(path)
        try:
            data = read_file(path)
            if is_unfinished(data) and file.state is not None and self._isFresh(file.state):
                # A program may be writing the line: "vm: 10.0.0.12:59" would be another port than
                # "vm: 10.0.0.12:5900".
                self._unfinished.add(path)
                data = without_last_line(data)
            targets = parse_targets(data, self._check, None if path == self._path else path.name)
        except FileNotFoundError:
            file.state = None  # removed since the look; the next look finds out
        except OSError as error:
            self._mistaken.add(path)
            self._mistake(path, f"expected a file of targets: {error.strerror}")
        except ValueError as error:
            self._mistaken.add(path)
            self._mistake(path, str(error))
        else:
            file.targets = {self._normal(token): each for token, each in targets.items()}
            if self._mistake == self._tell:
                writeLine(self._log, "file-reread", file=Uncut(path))

    def _tell(self, path: Path, why: str) -> None:
        file, reason = Uncut(path), Uncut(_at(path, why))
        writeLine(self._log, "file-not-reread", LogLevel.error, file=file, reason=reason)


def _raise(path: Path, why: str) -> None:
    raise ValueError(_at(path, why))


def _at(path: Path, why: str) -> str:
    return f"{path}{',' if why.startswith('line ') else ':'} {why}"


def _state(status: os.stat_result) -> State:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size
