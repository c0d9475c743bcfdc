"""A client and its backend, from the client's offer to the end of both, as an Automat machine.

What is true in each state:

``Reaching``
    the client's handshake waits; its backend is being reached, and the clock runs.
``Admitted``
    the backend stands and is not read from; the client has been let in, and its half of the
    handshake may still be on its way.
``Parted``
    as ``Admitted``, but the backend has ended already. What it said is kept, and is the client's
    once its conversation is open.
``Open``
    both stand, and what one says passes to the other.
``Draining``
    one side has ended and the other been told so. What either said before is on its way; the clock
    runs until the backend has gone.
``Gone``
    nothing is left to do. The client may still be closing, which it sees to itself.

Both sides and the clock may do anything at any time, and the endings overtake each other: a connect
that succeeds while it is being cancelled finds itself in ``Gone``, and is aborted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from automat import TypeMachineBuilder, pep614

from ..dialing.errors import ConnectTimeout
from ..sansio.wire.frame import Close


class ClientSide(Protocol):
    """What the machine may ask of the client's side."""

    def admit(self) -> None:
        """Answer the handshake: the backend has agreed."""

    def refuse(self, error: Exception) -> None:
        """Answer the handshake: there is no backend, and why."""

    def close(self, close: Close) -> None:
        """End the conversation, after all that was sent."""


class BackendSide(Protocol):
    """
    What the machine may ask of the backend's side.

    :ivar stage: while it is being reached, what is waited for, a key of
        :data:`txhixie.errors.STAGES`.
    """

    stage: str

    def cancel(self) -> None:
        """Do not reach it."""

    def resume(self) -> None:
        """Pass on what it says, beginning with what was kept."""

    def close(self, close: Close) -> None:
        """End the connection, after all that was sent, giving the backend time to read it."""

    def abort(self) -> None:
        """End the connection at once."""


@dataclass(slots=True)
class SessionCore:
    """
    What the machine acts with.

    :ivar timeout: have ``late`` said after this many seconds, or never.
    :ivar connect_timeout: seconds to reach the backend.
    :ivar drain_timeout: seconds for the backend to read what was sent to it, and to go.
    """

    client: ClientSide
    backend: BackendSide
    timeout: Callable[[float | None], None]
    connect_timeout: float
    drain_timeout: float


class SessionMachine(Protocol):
    """The inputs: what client, backend and clock can do."""

    def reached(self) -> None:
        """The backend stands, and is not read from."""

    def unreached(self, error: Exception) -> None:
        """There is no reaching it."""

    def opened(self) -> None:
        """The client's conversation is open."""

    def client_left(self, close: Close) -> None:
        """The client neither sends nor reads any more; it may never have been let in."""

    def backend_ended(self, close: Close) -> None:
        """The backend sends no more; it may still read."""

    def backend_lost(self, close: Close) -> None:
        """The connection to the backend has ended."""

    def late(self) -> None:
        """The timeout that was set has passed."""


def make_session_machine() -> Callable[[SessionCore], SessionMachine]:  # noqa: PLR0915 (a page, read as a table)
    """
    Build the machine, to be called with a :class:`SessionCore` for each session. Whoever does has
    begun to reach the backend, and set the first timeout.
    """
    builder = TypeMachineBuilder(SessionMachine, SessionCore)
    reaching = builder.state("Reaching")
    admitted = builder.state("Admitted")
    parted = builder.state("Parted", lambda _machine, _core, close: close)
    flowing = builder.state("Open")
    draining = builder.state("Draining")
    gone = builder.state("Gone")

    # Behaviour-less transitions: what comes too late, or twice.
    for state in (admitted, flowing, draining):
        state.upon(SessionMachine.reached).loop().returns(None)
    for state in (admitted, flowing, draining, gone):
        state.upon(SessionMachine.unreached).loop().returns(None)
    for state in (reaching, flowing, draining, gone):
        state.upon(SessionMachine.opened).loop().returns(None)
    for state in (draining, gone):
        state.upon(SessionMachine.client_left).loop().returns(None)
    for state in (reaching, draining, gone):
        state.upon(SessionMachine.backend_ended).loop().returns(None)
    for state in (reaching, gone):
        state.upon(SessionMachine.backend_lost).loop().returns(None)
    for state in (admitted, flowing, gone):
        state.upon(SessionMachine.late).loop().returns(None)
    parted.upon(SessionMachine.reached, nodata=True).loop().returns(None)
    parted.upon(SessionMachine.unreached, nodata=True).loop().returns(None)
    parted.upon(SessionMachine.client_left, nodata=True).to(gone).returns(None)
    parted.upon(SessionMachine.backend_ended, nodata=True).loop().returns(None)
    parted.upon(SessionMachine.backend_lost, nodata=True).loop().returns(None)
    parted.upon(SessionMachine.late, nodata=True).loop().returns(None)

    # Transitions that do something:
    @pep614(reaching.upon(SessionMachine.reached).to(admitted))
    def admit(machine: SessionMachine, core: SessionCore) -> None:
        core.timeout(None)
        core.client.admit()

    @pep614(reaching.upon(SessionMachine.unreached).to(gone))
    def refuse(machine: SessionMachine, core: SessionCore, error: Exception) -> None:
        core.timeout(None)
        core.client.refuse(error)

    @pep614(reaching.upon(SessionMachine.late).to(gone))
    def refuse_late(machine: SessionMachine, core: SessionCore) -> None:
        core.backend.cancel()
        core.client.refuse(ConnectTimeout(core.backend.stage, core.connect_timeout))

    @pep614(reaching.upon(SessionMachine.client_left).to(gone))
    def cancel(machine: SessionMachine, core: SessionCore, close: Close) -> None:
        core.timeout(None)
        core.backend.cancel()

    @pep614(gone.upon(SessionMachine.reached).loop())
    @pep614(draining.upon(SessionMachine.late).to(gone))
    def abort(machine: SessionMachine, core: SessionCore) -> None:
        core.backend.abort()

    @pep614(admitted.upon(SessionMachine.opened).to(flowing))
    def resume(machine: SessionMachine, core: SessionCore) -> None:
        core.backend.resume()

    @pep614(admitted.upon(SessionMachine.backend_ended).to(parted))
    def end_backend(machine: SessionMachine, core: SessionCore, close: Close) -> None:
        core.backend.close(close)

    @pep614(admitted.upon(SessionMachine.backend_lost).to(parted))
    def keep(machine: SessionMachine, core: SessionCore, close: Close) -> None:
        pass

    @pep614(parted.upon(SessionMachine.opened).to(gone))
    def pass_on(machine: SessionMachine, core: SessionCore, close: Close) -> None:
        core.backend.resume()
        core.client.close(close)

    @pep614(admitted.upon(SessionMachine.client_left).to(draining))
    @pep614(flowing.upon(SessionMachine.client_left).to(draining))
    def drain_backend(machine: SessionMachine, core: SessionCore, close: Close) -> None:
        core.timeout(core.drain_timeout)
        core.backend.close(close)

    @pep614(flowing.upon(SessionMachine.backend_ended).to(draining))
    def drain_both(machine: SessionMachine, core: SessionCore, close: Close) -> None:
        core.client.close(close)
        core.timeout(core.drain_timeout)
        core.backend.close(close)

    @pep614(flowing.upon(SessionMachine.backend_lost).to(gone))
    def drain_client(machine: SessionMachine, core: SessionCore, close: Close) -> None:
        core.client.close(close)

    @pep614(draining.upon(SessionMachine.backend_lost).to(gone))
    def forget(machine: SessionMachine, core: SessionCore, close: Close) -> None:
        core.timeout(None)

    return builder.build()


SESSION: Final = make_session_machine()
"""The machine: there is one, however many sessions."""
