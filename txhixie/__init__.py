"""WebSocket for Twisted, in every dialect that shipped."""

from .backoff import Backoff
from .channel import Channel
from .client import HixieClientFactory, HixieClientProtocol
from .connection import Connection, connect
from .dialects import DIALECTS, Dialect
from .dom import WebSocket
from .endpoints import WebSocketClientEndpoint
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
from .proxies import Proxy
from .reconnection import WebSocketClientService
from .running import run
from .server import HixieServerProtocol
from .serverfactory import HixieServerFactory
from .serving import serve
from .stream import StreamApplications, StreamClientEndpoint
from .tunnel import HTTPConnectEndpoint

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
