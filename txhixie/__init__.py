"""WebSocket for Twisted, clients and servers, in every dialect that a browser has shipped.

The errors are described in :mod:`txhixie.errors`.
"""

from .broadcasting import Delivery, broadcast
from .byte_streams.stream import StreamApplications, StreamClientEndpoint
from .channel.channel import Channel
from .channel.dial import ConnectionAttempt, connect
from .channel.serve import serve
from .client.backoff import Backoff
from .client.endpoint import EndpointOptions, WebSocketClientEndpoint
from .client.factory import ClientOptions, HixieClientFactory
from .client.protocol import HixieClientProtocol
from .client.service import WebSocketClientService
from .connection.counters import Counters
from .connection.factory import HixieFactory
from .connection.held_bytes import HeldBytes
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
from .freed_memory import keep_freed_memory
from .interfaces import (
    AbruptClose,
    Accepted,
    CleanClose,
    CloseListener,
    PingListener,
    WebSocketClientFactory,
    WebSocketProtocol,
    WebSocketServerFactory,
    WebSocketTransport,
)
from .running import run
from .sansio.closing import Ended
from .sansio.dialects import DIALECTS, Dialect
from .sansio.handshake.offer import Agreement, Offer, Refusal
from .sansio.http.url import Credentials
from .sansio.limits import Limits
from .sansio.prepared_message import PreparedMessage
from .sansio.wire.frame import CloseCode
from .server.admission import Admission
from .server.factory import HixieServerFactory, ServerOptions
from .server.protocol import HixieServerProtocol

__all__ = [
    "DIALECTS",
    "AbruptClose",
    "Accepted",
    "Admission",
    "Agreement",
    "Backoff",
    "BadCompression",
    "CertificateExpired",
    "CertificateForAnotherHost",
    "Channel",
    "CleanClose",
    "ClientOptions",
    "CloseCode",
    "CloseListener",
    "ConnectFailed",
    "ConnectTimeout",
    "ConnectionAttempt",
    "ConnectionFailed",
    "ConversationEnded",
    "Counters",
    "Credentials",
    "Delivery",
    "Dialect",
    "Ended",
    "EndpointOptions",
    "FrameError",
    "HTTPConnectEndpoint",
    "HandshakeError",
    "HandshakeRefused",
    "HeldBytes",
    "HixieClientFactory",
    "HixieClientProtocol",
    "HixieError",
    "HixieFactory",
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
    "PingListener",
    "PreparedMessage",
    "Proxy",
    "ProxyRefused",
    "Refusal",
    "ServerOptions",
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
    "__version__",
    "broadcast",
    "connect",
    "keep_freed_memory",
    "run",
    "serve",
]

__version__: str
"""The version of the package that is installed."""


def __getattr__(name: str) -> str:
    """Look up the version when it is first read, since ``importlib.metadata`` takes 17 ms."""
    if name == "__version__":
        from importlib.metadata import version

        return version("txhixie")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
