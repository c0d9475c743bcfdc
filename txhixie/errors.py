"""What can go wrong, as one tree: each error of a peer knows its answer.

::

    HixieError
      PeerError                    they broke a rule
        HandshakeError   .status   MalformedHead 400 · HeadTooLarge 431
                                   UnsupportedVersion 505 · BodyTooLarge 413
                                   UnknownTransferCoding 501 · LengthRequired 411
                                   EarlyBytes 400 · UnknownDialect 426 · BadAnswer
        FrameError       .code     1002 · BadText 1007 · BadCompression 1007
                                   TooBig 1009 · WrongKind 1003
      Refused                      a well-formed no, from the server
        TunnelRefused              from the proxy
      Unreached          .stage    the way there ended before its end
        NameNotFound               lookup
        NotConnected               tcp
        TLSFailed                  tls: CertificateExpired · CertificateForAnotherHost
                                   UnknownIssuer
        PeerLeft                   at any stage: the other side closed the connection
      LateAnswer         .stage    nobody answered in time
      UsageError                   we asked wrongly: NotOpen · CannotCarry
        ConversationEnded          a NotOpen, with the code and reason of the end

The errors of connecting (``Unreached``, its branches, and ``LateAnswer``) are Twisted's
``ConnectError`` too, as those of Twisted's own endpoints are; ``LateAnswer`` is its
``TimeoutError`` and ``NameNotFound`` its ``DNSLookupError``.

No error's text repeats a peer's bytes unescaped, and none carries a credential.
"""

from __future__ import annotations

import inspect

from .dialing.errors import (
    STAGES,
    CertificateExpired,
    CertificateForAnotherHost,
    LateAnswer,
    NameNotFound,
    NotConnected,
    PeerLeft,
    TLSFailed,
    UnknownIssuer,
    Unreached,
)
from .sansio.errors import (
    BadAnswer,
    BadCompression,
    BadText,
    BodyTooLarge,
    CannotCarry,
    ConversationEnded,
    EarlyBytes,
    FrameError,
    HandshakeError,
    HeadTooLarge,
    HixieError,
    LengthRequired,
    MalformedHead,
    NotOpen,
    PeerError,
    Refused,
    TooBig,
    TunnelRefused,
    UnknownDialect,
    UnknownTransferCoding,
    UnsupportedVersion,
    UsageError,
    WrongKind,
)

__all__ = [
    "STAGES",
    "BadAnswer",
    "BadCompression",
    "BadText",
    "BodyTooLarge",
    "CannotCarry",
    "CertificateExpired",
    "CertificateForAnotherHost",
    "ConversationEnded",
    "EarlyBytes",
    "FrameError",
    "HandshakeError",
    "HeadTooLarge",
    "HixieError",
    "LateAnswer",
    "LengthRequired",
    "MalformedHead",
    "NameNotFound",
    "NotConnected",
    "NotOpen",
    "PeerError",
    "PeerLeft",
    "Refused",
    "TLSFailed",
    "TooBig",
    "TunnelRefused",
    "UnknownDialect",
    "UnknownIssuer",
    "UnknownTransferCoding",
    "Unreached",
    "UnsupportedVersion",
    "UsageError",
    "WrongKind",
]

for _kind in [value for value in globals().values() if inspect.isclass(value)]:
    # Tracebacks and pickles say the name by which a program imports an error, which stays when the
    # files behind it move.
    _kind.__module__ = __name__
del _kind
