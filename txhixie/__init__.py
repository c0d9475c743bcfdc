"""WebSocket for Twisted, in every dialect that shipped."""

from .byte_streams.stream import StreamApplications, StreamClientEndpoint
from .channel.channel import Channel
from .channel.dial import ConnectionAttempt, connect
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
    BadCompression,
    CertificateExpired,
    CertificateForAnotherHost,
    ConnectFailed,
    ConnectionFailed,
    ConnectTimeout,
    ConversationEnded,
    FrameError,
    HandshakeError,
    HandshakeRefused,
    HixieError,
    InvalidHandshake,
    InvalidUTF8,
    LookupFailed,
    MessageTooBig,
    NotOpen,
    PeerError,
    PeerLeft,
    ProxyRefused,
    TLSFailed,
    UnknownIssuer,
    UnsupportedByDialect,
    UnsupportedData,
    UsageError,
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
    "BadCompression",
    "CertificateExpired",
    "CertificateForAnotherHost",
    "Channel",
    "CleanClose",
    "ConnectFailed",
    "ConnectTimeout",
    "ConnectionAttempt",
    "ConnectionFailed",
    "ConversationEnded",
    "Dialect",
    "FrameError",
    "HTTPConnectEndpoint",
    "HandshakeError",
    "HandshakeRefused",
    "HixieClientFactory",
    "HixieClientProtocol",
    "HixieError",
    "HixieProtocol",
    "HixieServerFactory",
    "HixieServerProtocol",
    "InvalidHandshake",
    "InvalidUTF8",
    "Limits",
    "LookupFailed",
    "MessageTooBig",
    "NotOpen",
    "Offer",
    "PeerError",
    "PeerLeft",
    "Proxy",
    "ProxyRefused",
    "Refusal",
    "StreamApplications",
    "StreamClientEndpoint",
    "TLSFailed",
    "UnknownIssuer",
    "UnsupportedByDialect",
    "UnsupportedData",
    "UsageError",
    "WebSocket",
    "WebSocketClientEndpoint",
    "WebSocketClientFactory",
    "WebSocketClientService",
    "WebSocketProtocol",
    "WebSocketServerFactory",
    "WebSocketTransport",
    "connect",
    "run",
    "serve",
]
