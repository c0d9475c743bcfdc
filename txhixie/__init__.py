"""WebSocket for Twisted, in every dialect that shipped."""

from .client import HixieClientFactory, HixieClientProtocol
from .dialects import DIALECTS, Dialect
from .errors import (
    BadAnswer,
    BadCompression,
    BadText,
    CannotCarry,
    FrameError,
    HandshakeError,
    HixieError,
    LateAnswer,
    NotOpen,
    PeerError,
    Refused,
    TooBig,
    UsageError,
)
from .handshake.offer import Agreement, Offer, Refusal
from .interfaces import (
    AbruptClose,
    Accepted,
    CleanClose,
    WebSocketClientFactory,
    WebSocketProtocol,
    WebSocketServerFactory,
    WebSocketTransport,
)
from .limits import Limits
from .protocol import HixieProtocol
from .server import HixieServerFactory, HixieServerProtocol

__all__ = [
    "DIALECTS",
    "AbruptClose",
    "Accepted",
    "Agreement",
    "BadAnswer",
    "BadCompression",
    "BadText",
    "CannotCarry",
    "CleanClose",
    "Dialect",
    "FrameError",
    "HandshakeError",
    "HixieClientFactory",
    "HixieClientProtocol",
    "HixieError",
    "HixieProtocol",
    "HixieServerFactory",
    "HixieServerProtocol",
    "LateAnswer",
    "Limits",
    "NotOpen",
    "Offer",
    "PeerError",
    "Refusal",
    "Refused",
    "TooBig",
    "UsageError",
    "WebSocketClientFactory",
    "WebSocketProtocol",
    "WebSocketServerFactory",
    "WebSocketTransport",
]
