"""The server's side of a handshake, with what it has in a program and not in the pure half."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from ..sansio.opening import ServerOpening


class ServerHandshake(ServerOpening):
    """
    Opening of a server's connection, with the Deferred or the protocol that it waits for.

    The connection drops it when the conversation opens, so an idle connection has none of this.

    :ivar decision: the Deferred decision of the application, while it is awaited.
    :ivar elsewhere: the protocol to which a request of ordinary HTTP was passed on.
    :ivar bodyLeft: bytes that are missing of the body of that request, where it is the last one.
    :ivar delay: seconds from the response to the begin of the conversation.
    :ivar delayed: the call that begins the conversation, while the delay runs.
    """

    # Attributes of the class and no __slots__: most handshakes set none of them.
    decision: Deferred[Any] | None = None
    elsewhere: Any = None
    bodyLeft = 0
    delay = 0.0
    delayed: IDelayedCall | None = None
