"""Closing handshake of a conversation, as an Automat machine.

The inputs come from our side, the peer and the clock, in any order. The states:

``Open``
    Neither side has sent a close frame.
``Closing``
    We have sent a close frame and wait for the peer's. The peer may still send messages.
``Leaving``
    Both sides have sent a close frame. We are a client and wait for the server to end the
    connection, so that the server holds TIME_WAIT (RFC 6455 section 7.1.1). Hixie-76 does not use
    this state, since its servers wait for their clients to end the connection.
``Ending``
    Nothing more is written, and the transport connection is being ended. Unless the peer has sent a
    close frame, its data is read and discarded until the peer closes the connection or the timeout
    passes.
``Gone``
    The transport connection has ended.

A machine is created when a conversation begins to end, so that idle connections have none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from automat import TypeMachineBuilder, pep614

from .port import Port


class Ended(NamedTuple):
    """
    Result of a conversation: how and why it ended.

    :ivar code: the close code, a :class:`txhixie.CloseCode`; 1005 where the dialect has no close
        codes, 1006 where the connection ended without a close.
    :ivar reason: the close reason, or the text of an error; empty without a reason.
    :ivar who: the side that began to end the conversation: ``"us"`` or ``"peer"``.
    :ivar clean: whether the conversation ended with the complete closing handshake of the dialect.
    """

    code: int
    reason: str
    who: str
    clean: bool


class Ending(Protocol):
    """Inputs of the machine: from our side, from the peer, and from the clock."""

    def close(self, frame: bytes) -> None:
        """Our side closes: send this close frame and wait for the peer's."""

    def answered(self, frame: bytes) -> None:
        """The peer sent a close frame: answer with this one, unless we have sent one before."""

    def end(self, frame: bytes) -> None:
        """
        Our side ends the connection after this frame, if any, without waiting for an answer.

        This is for a failure, and for a dialect without close frames.
        """

    def late(self) -> None:
        """The timeout of the port has passed."""

    def lost(self) -> None:
        """The transport connection has ended."""


@dataclass(slots=True)
class ClosingCore:
    """
    Port and timeout that the machine uses.

    :ivar port: the port of the connection.
    :ivar close_timeout: seconds to wait for the peer, :attr:`txhixie.Limits.close_timeout`.
    """

    port: Port
    close_timeout: float

    def say(self, frame: bytes) -> None:
        """Write a frame, if any, and set the timeout for the peer."""
        if frame:
            self.port.write(frame)
        self.port.timeout(self.close_timeout)


class Answered:
    """
    The state after we have answered the peer's close frame and dropped the connection.

    It replaces the machine where the peer closes first and we do not wait for the peer to end the
    connection. Most conversations end so, and nothing is left to decide. A machine takes 15 us of
    the 115 us for opening and closing a connection.
    """

    __slots__ = ("_port",)

    def __init__(self, port: Port, close_timeout: float, frame: bytes) -> None:
        """
        Send the answer to the peer's close frame, and drop the connection.

        :param close_timeout: seconds to wait for the peer, :attr:`txhixie.Limits.close_timeout`.
        :param frame: the answer to the peer's close frame.
        """
        self._port = port
        port.write(frame)
        port.drop(linger=False)
        # Last: if drop() has ended the connection at once, no timer is made.
        port.timeout(close_timeout)

    def close(self, frame: bytes) -> None:
        """Do nothing: our close frame has been sent."""

    def answered(self, frame: bytes) -> None:
        """Do nothing: the peer's close frame has been answered."""

    def end(self, frame: bytes) -> None:
        """Do nothing: the connection is being ended."""

    def late(self) -> None:
        """Abort the connection: the timeout has passed."""
        self._port.drop(abort=True)

    def lost(self) -> None:
        """Cancel the timeout: the transport connection has ended."""
        self._port.timeout(None)


def make_closing_machine(waits: bool) -> Callable[[ClosingCore], Ending]:
    """
    Return a function that builds the machine of a conversation from a :class:`ClosingCore`.

    :param waits: whether to wait for the peer to end the connection once both sides have sent a
        close frame.
    """
    builder = TypeMachineBuilder(Ending, ClosingCore)
    start = builder.state("Open")
    closing = builder.state("Closing")
    leaving = builder.state("Leaving")
    ending = builder.state("Ending")
    gone = builder.state("Gone")
    agreed = leaving if waits else ending

    # Transitions without an action:
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

    # Transitions with an action:
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


ENDINGS: Final = {waits: make_closing_machine(waits) for waits in (False, True)}
"""The two machine builders, by ``waits``; all connections share them."""
