"""State machine of one session between a client and a backend, an Automat machine.

The states:

``Reaching``
    the client waits for the response to its handshake; the gateway connects to the backend, and the
    connect timeout runs.
``Admitted``
    the backend is connected, and its data is not read yet; the client's handshake was accepted, and
    the client may not have received the response yet.
``Parted``
    the client is as in ``Admitted``, but the backend has closed already. The messages of the
    backend are kept, and sent to the client once its conversation is open.
``Open``
    both sides are connected, and messages pass in both directions.
``Draining``
    one side has closed, and the close was passed on to the other side. Messages of either side may
    still be in buffers; the drain timeout runs until the backend's connection has ended.
``Gone``
    the session is over. The client's connection may still be closing on its own.

An input of either side, and of the clock, may arrive in any state, and two ends may cross: when a
connect succeeds while it is cancelled, the machine is in ``Gone`` and aborts the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from automat import TypeMachineBuilder, pep614

from ..dialing.errors import ConnectTimeout
from ..sansio.wire.frame import Close


class ClientSide(Protocol):
    """Client side of a session, as the machine calls it."""

    def admit(self) -> None:
        """Accept the client's handshake, since the backend is connected."""

    def refuse(self, error: Exception) -> None:
        """Refuse the client's handshake, since the backend could not be connected."""

    def close(self, close: Close) -> None:
        """Close the client's conversation after all messages were sent."""


class BackendSide(Protocol):
    """
    Backend side of a session, as the machine calls it.

    :ivar stage: the current stage while the backend is being connected, a key of
        :data:`txhixie.errors.STAGES`.
    """

    stage: str

    def cancel(self) -> None:
        """Cancel the connect to the backend."""

    def resume(self) -> None:
        """Send the kept messages of the backend to the client, and pass on further ones."""

    def close(self, close: Close) -> None:
        """Close the backend's connection after all data was sent and read by the backend."""

    def abort(self) -> None:
        """Abort the backend's connection at once."""


@dataclass(slots=True)
class SessionCore:
    """
    The two sides and the timeouts of one session, on which the machine acts.

    :ivar client: the client side.
    :ivar backend: the backend side.
    :ivar timeout: sets the timeout, in seconds, after which ``late`` is called; ``None`` clears it.
    :ivar connect_timeout: timeout of the connect to the backend, in seconds.
    :ivar drain_timeout: seconds for the backend to read its remaining data and to disconnect.
    """

    client: ClientSide
    backend: BackendSide
    timeout: Callable[[float | None], None]
    connect_timeout: float
    drain_timeout: float


class SessionMachine(Protocol):
    """Inputs of the machine: events of the client, of the backend and of the clock."""

    def reached(self) -> None:
        """Handle the event: the backend is connected; its data is not read yet."""

    def unreached(self, error: Exception) -> None:
        """Handle the event: the connect to the backend failed."""

    def opened(self) -> None:
        """Handle the event: the client's conversation is open."""

    def client_left(self, close: Close) -> None:
        """Handle the event: the client disconnected, perhaps before its handshake was accepted."""

    def backend_ended(self, close: Close) -> None:
        """Handle the event: the backend sends no more data; the backend may still read."""

    def backend_lost(self, close: Close) -> None:
        """Handle the event: the connection to the backend has ended."""

    def late(self) -> None:
        """Handle the event: the timeout has passed."""


def make_session_machine() -> Callable[[SessionCore], SessionMachine]:  # noqa: PLR0915 (a page, read as a table)
    """
    Build the machine, which is called with a :class:`SessionCore` for each session.

    The caller begins to connect to the backend and sets the connect timeout itself.
    """
    builder = TypeMachineBuilder(SessionMachine, SessionCore)
    reaching = builder.state("Reaching")
    admitted = builder.state("Admitted")
    parted = builder.state("Parted", lambda _machine, _core, close: close)
    flowing = builder.state("Open")
    draining = builder.state("Draining")
    gone = builder.state("Gone")

    # Transitions without an action: inputs that come too late, or twice.
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

    # Transitions with an action:
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
"""The machine, which all sessions share."""
