"""What can go wrong, as one tree: each error of a peer knows its answer.

::

    HixieError
      PeerError                    they broke a rule
        HandshakeError   .status   MalformedHead 400 · HeadTooLarge 431
                                   UnsupportedVersion 505 · BodyTooLarge 413
                                   UnknownTransferCoding 501 · LengthRequired 411
                                   EarlyBytes 400 · UnknownDialect 426 · InvalidHandshake
        FrameError       .code     1002 · InvalidUTF8 1007 · BadCompression 1007
                                   MessageTooBig 1009 · UnsupportedData 1003
      HandshakeRefused                      a well-formed no, from the server
        ProxyRefused              from the proxy
      ConnectionFailed          .stage    the way there ended before its end
        LookupFailed               lookup
        ConnectFailed               tcp
        TLSFailed                  tls: CertificateExpired · CertificateForAnotherHost
                                   UnknownIssuer
        PeerLeft                   at any stage: the other side closed the connection
      ConnectTimeout         .stage    nobody answered in time
      UsageError                   we asked wrongly: NotOpen · UnsupportedByDialect
        ConversationEnded          a NotOpen, with the code and reason of the end

The errors of connecting (``ConnectionFailed``, its branches, and ``ConnectTimeout``) are Twisted's
``ConnectError`` too, as those of Twisted's own endpoints are; ``ConnectTimeout`` is its
``TimeoutError`` and ``LookupFailed`` its ``DNSLookupError``.

No error's text repeats a peer's bytes unescaped, and none carries a credential.
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
    # Tracebacks and pickles say the name by which a program imports an error, which stays when the
    # files behind it move.
    _kind.__module__ = __name__
del _kind
