"""How a conversation ends: us, the peer and the clock, in any order, as an Automat machine.

What is true in each state:

``Open``
    nobody has said anything about ending.
``Closing``
    we have said it; the peer may still be sending, and its close is awaited.
``Leaving``
    both have said it, and the server is to end the connection first: we are a client and wait
    (RFC 6455 section 7.1.1: so that it is the server which holds TIME_WAIT). In hixie-76 nobody
    waits: its servers wait for their clients to go.
``Ending``
    nothing more will be written; the connection below is being ended, and unless the peer has said
    that it sends no more, its last bytes are read and forgotten until it has gone or the clock says
    so.
``Gone``
    the connection below has ended.

A machine is made at the first sign of an end: the thousand idle connections have none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from automat import TypeMachineBuilder, pep614

from .port import Port


class Ended(NamedTuple):
    """
    What is known of a conversation's end: facts, from which others judge.

    :ivar code: a :class:`txhixie.CloseCode`; 1005 where the dialect has no codes,
        1006 where the end was none of the dialect's.
    :ivar reason: in words; empty if nobody gave one.
    :ivar who: ``"us"`` or ``"peer"``: who began it.
    :ivar clean: whether it went the dialect's way to its end.
    """

    code: int
    reason: str
    who: str
    clean: bool


class Ending(Protocol):
    """The inputs: what us, the peer and the clock can do to a conversation's end."""

    def close(self, frame: bytes) -> None:
        """We want to end, say so with this frame, and wait for the peer's."""

    def answered(self, frame: bytes) -> None:
        """The peer has sent its close; this frame answers it, if ours has not gone out yet."""

    def end(self, frame: bytes) -> None:
        """We end it after this frame, if any, and wait for no answer: a failure, or a dialect
        that closes by ending the connection."""

    def late(self) -> None:
        """The timeout that was set has passed."""

    def lost(self) -> None:
        """The connection below has ended."""


@dataclass(slots=True)
class ClosingCore:
    """
    What the machine acts with.

    :ivar port: the connection's.
    :ivar close_timeout: seconds for the peer's part, :attr:`txhixie.Limits.close_timeout`.
    """

    port: Port
    close_timeout: float

    def say(self, frame: bytes) -> None:
        """Write what there is to write, and give the peer its time."""
        if frame:
            self.port.write(frame)
        self.port.timeout(self.close_timeout)


class Answered:
    """
    The machine's ``Ending``, by hand: what is left of it when the peer has closed first and been
    answered, and nobody waits for it, which is how most conversations end. There is nothing to
    decide any more, and a machine is 15 us of the 115 that opening and closing a connection takes.
    """

    __slots__ = ("_port",)

    def __init__(self, port: Port, close_timeout: float, frame: bytes) -> None:
        """
        :param close_timeout: as a :class:`ClosingCore`'s.
        :param frame: the answer to the peer's close.
        """
        self._port = port
        port.write(frame)
        port.drop(linger=False)
        # Last: a connection that has ended with that needs no timer.
        port.timeout(close_timeout)

    def close(self, frame: bytes) -> None:
        """It has been said."""

    def answered(self, frame: bytes) -> None:
        """It has been heard."""

    def end(self, frame: bytes) -> None:
        """It is on its way."""

    def late(self) -> None:
        """The peer has had its time."""
        self._port.drop(abort=True)

    def lost(self) -> None:
        """Nobody has to be late any more."""
        self._port.timeout(None)


def make_machine(waits: bool) -> Callable[[ClosingCore], Ending]:
    """
    Build a machine, to be called with a :class:`ClosingCore` for each conversation.

    :param waits: when both have spoken, wait for the peer to end the connection.
    """
    builder = TypeMachineBuilder(Ending, ClosingCore)
    start = builder.state("Open")
    closing = builder.state("Closing")
    leaving = builder.state("Leaving")
    ending = builder.state("Ending")
    gone = builder.state("Gone")
    agreed = leaving if waits else ending

    # Behaviour-less transitions:
    for state in (closing, leaving, ending, gone):
        state.upon(Ending.close).loop().returns(None)
    for state in (leaving, ending, gone):
        state.upon(Ending.answered).loop().returns(None)
    for state in (ending, gone):
        state.upon(Ending.end).loop().returns(None)
    for state in (start, gone):
        state.upon(Ending.late).loop().returns(None)
    for state in (start, gone):
        state.upon(Ending.lost).to(gone).returns(None)

    # Transitions that do something:
    @pep614(start.upon(Ending.close).to(closing))
    def say(machine: Ending, core: ClosingCore, frame: bytes) -> None:
        core.say(frame)

    @pep614(start.upon(Ending.end).to(ending))
    @pep614(closing.upon(Ending.end).to(ending))
    @pep614(leaving.upon(Ending.end).to(ending))
    def say_last(machine: Ending, core: ClosingCore, frame: bytes) -> None:
        core.say(frame)
        core.port.drop()

    @pep614(start.upon(Ending.answered).to(agreed))
    def answer(machine: Ending, core: ClosingCore, frame: bytes) -> None:
        core.say(frame)
        if agreed is ending:
            core.port.drop(linger=False)

    @pep614(closing.upon(Ending.answered).to(agreed))
    def heard(machine: Ending, core: ClosingCore, frame: bytes) -> None:
        core.say(b"")
        if agreed is ending:
            core.port.drop(linger=False)

    @pep614(closing.upon(Ending.late).to(ending))
    @pep614(leaving.upon(Ending.late).to(ending))
    @pep614(ending.upon(Ending.late).loop())
    def give_up(machine: Ending, core: ClosingCore) -> None:
        core.port.drop(abort=True)

    @pep614(closing.upon(Ending.lost).to(gone))
    @pep614(leaving.upon(Ending.lost).to(gone))
    @pep614(ending.upon(Ending.lost).to(gone))
    def forget(machine: Ending, core: ClosingCore) -> None:
        core.port.timeout(None)

    return builder.build()


ENDINGS: Final = {waits: make_machine(waits) for waits in (False, True)}
"""Both machines: there is one of each, however many connections."""
