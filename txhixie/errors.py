"""All errors of txhixie, as one tree.

::

    HixieError
      PeerError                    the peer broke a rule, or exceeded a limit
        HandshakeError   .status   MalformedHead 400 · HeadTooLarge 431
                                   UnsupportedVersion 505 · BodyTooLarge 413
                                   UnknownTransferCoding 501 · LengthRequired 411
                                   EarlyBytes 400 · UnknownDialect 426 · InvalidHandshake
        FrameError       .code     1002 · InvalidUTF8 1007 · BadCompression 1007
                                   MessageTooBig 1009 · UnsupportedData 1003
      HandshakeRefused             the server refused the handshake, in valid HTTP
        ProxyRefused               the proxy refused the CONNECT request
      ConnectionFailed   .stage    connecting failed
        LookupFailed               lookup
        ConnectFailed              tcp
        TLSFailed                  tls: CertificateExpired · CertificateForAnotherHost
                                   UnknownIssuer
        PeerLeft                   at any stage: the peer closed the connection
      ConnectTimeout     .stage    a stage of connecting exceeded its timeout
      UsageError                   a call that is not possible: NotOpen · UnsupportedByDialect
        ConversationEnded          a NotOpen, with the close code and the close reason

``.status`` is the HTTP status of the response to the peer, ``.code`` the close code that is sent to
the peer, ``.stage`` the stage of connecting at which the error occurred.

The errors of connecting (``ConnectionFailed``, its subclasses, and ``ConnectTimeout``) are also
Twisted's ``ConnectError``, like the errors of Twisted's endpoints. ``ConnectTimeout`` is also
Twisted's ``TimeoutError``, and ``LookupFailed`` Twisted's ``DNSLookupError``.

The text of an error never repeats bytes of a peer unescaped, and never has a credential.
"""

from __future__ import annotations

import inspect

from .dialing.errors import (
    STAGES,
    CertificateExpired,
    CertificateForAnotherHost,
    ConnectFailed,
    ConnectionFailed,
    ConnectTimeout,
    LookupFailed,
    PeerLeft,
    TLSFailed,
    UnknownIssuer,
)
from .sansio.errors import (
    BadCompression,
    BodyTooLarge,
    ConversationEnded,
    EarlyBytes,
    FrameError,
    HandshakeError,
    HandshakeRefused,
    HeadTooLarge,
    HixieError,
    InvalidHandshake,
    InvalidUTF8,
    LengthRequired,
    MalformedHead,
    MessageTooBig,
    NotOpen,
    PeerError,
    ProxyRefused,
    UnknownDialect,
    UnknownTransferCoding,
    UnsupportedByDialect,
    UnsupportedData,
    UnsupportedVersion,
    UsageError,
)

__all__ = [
    "STAGES",
    "BadCompression",
    "BodyTooLarge",
    "CertificateExpired",
    "CertificateForAnotherHost",
    "ConnectFailed",
    "ConnectTimeout",
    "ConnectionFailed",
    "ConversationEnded",
    "EarlyBytes",
    "FrameError",
    "HandshakeError",
    "HandshakeRefused",
    "HeadTooLarge",
    "HixieError",
    "InvalidHandshake",
    "InvalidUTF8",
    "LengthRequired",
    "LookupFailed",
    "MalformedHead",
    "MessageTooBig",
    "NotOpen",
    "PeerError",
    "PeerLeft",
    "ProxyRefused",
    "TLSFailed",
    "UnknownDialect",
    "UnknownIssuer",
    "UnknownTransferCoding",
    "UnsupportedByDialect",
    "UnsupportedData",
    "UnsupportedVersion",
    "UsageError",
]

for _kind in [value for value in globals().values() if inspect.isclass(value)]:
    # Tracebacks and pickles then have the name by which a program imports an error. This name stays
    # the same when the internal modules move.
    _kind.__module__ = __name__
del _kind
