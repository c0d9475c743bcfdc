"""WebSocket for Twisted, in every dialect that shipped."""

from .byte_streams.stream import StreamApplications, StreamClientEndpoint
from .channel.channel import Channel
from .channel.dial import Connection, connect
from .channel.serve import serve
from .client.backoff import Backoff
from .client.endpoint import WebSocketClientEndpoint
from .client.protocol import HixieClientFactory, HixieClientProtocol
from .client.service import WebSocketClientService
from .connection.protocol import HixieProtocol
from .dialing.proxy import Proxy
from .dialing.tunnel import HTTPConnectEndpoint
from .dom.websocket import WebSocket
from .errors import (
    BadAnswer,
    BadCompression,
    BadText,
    CannotCarry,
    CertificateExpired,
    CertificateForAnotherHost,
    ConversationEnded,
    FrameError,
    HandshakeError,
    HixieError,
    LateAnswer,
    NameNotFound,
    NotConnected,
    NotOpen,
    PeerError,
    PeerLeft,
    Refused,
    TLSFailed,
    TooBig,
    TunnelRefused,
    UnknownIssuer,
    Unreached,
    UsageError,
    WrongKind,
)
from .interfaces import (
    AbruptClose,
    Accepted,
    CleanClose,
    WebSocketClientFactory,
    WebSocketProtocol,
    WebSocketServerFactory,
    WebSocketTransport,
)
from .running import run
from .sansio.dialects import DIALECTS, Dialect
from .sansio.handshake.offer import Agreement, Offer, Refusal
from .sansio.limits import Limits
from .server.protocol import HixieServerFactory, HixieServerProtocol

__all__ = [
    "DIALECTS",
    "AbruptClose",
    "Accepted",
    "Agreement",
    "Backoff",
    "BadAnswer",
    "BadCompression",
    "BadText",
    "CannotCarry",
    "CertificateExpired",
    "CertificateForAnotherHost",
    "Channel",
    "CleanClose",
    "Connection",
    "ConversationEnded",
    "Dialect",
    "FrameError",
    "HTTPConnectEndpoint",
    "HandshakeError",
    "HixieClientFactory",
    "HixieClientProtocol",
    "HixieError",
    "HixieProtocol",
    "HixieServerFactory",
    "HixieServerProtocol",
    "LateAnswer",
    "Limits",
    "NameNotFound",
    "NotConnected",
    "NotOpen",
    "Offer",
    "PeerError",
    "PeerLeft",
    "Proxy",
    "Refusal",
    "Refused",
    "StreamApplications",
    "StreamClientEndpoint",
    "TLSFailed",
    "TooBig",
    "TunnelRefused",
    "UnknownIssuer",
    "Unreached",
    "UsageError",
    "WebSocket",
    "WebSocketClientEndpoint",
    "WebSocketClientFactory",
    "WebSocketClientService",
    "WebSocketProtocol",
    "WebSocketServerFactory",
    "WebSocketTransport",
    "WrongKind",
    "connect",
    "run",
    "serve",
]
