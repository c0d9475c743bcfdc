"""The programs of ``programs/``, each started once, when a test first asks for it.

Starting one for every test would take longer than all the tests do. Between two tests a program is
reset, and its remaining events of the earlier test are skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from peers.peer import Peer, started


class RunningPeers:
    def __init__(self) -> None:
        self._peers: dict[str, Peer] = {}
        self._tokens = count()

    async def call(self, name: str, command: Sequence[str | Path]) -> Peer:
        """The program of this name, idle."""
        peer = self._peers.get(name)
        if peer is None:
            peer = self._peers[name] = started(*command)
        try:
            await peer.forget(str(next(self._tokens)))
        except BaseException:
            del self._peers[name]  # the next test gets another
            await peer.stop()
            raise
        return peer

    async def dismiss(self) -> None:
        for peer in self._peers.values():
            await peer.stop()
