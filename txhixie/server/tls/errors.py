"""Errors of the files of a TLS port, in a module that imports nothing of TLS."""

from __future__ import annotations


class KeyMismatch(ValueError):
    """
    A certificate and a private key do not belong to each other.

    A program that renews a certificate writes two files, so that this is also the state between the
    two writes.
    """


def certificate_fault_of(transport: object) -> str | None:
    """
    Why the TLS handshake of a transport refused the client's certificate, if that was the reason.

    OpenSSL's own text is ``certificate verify failed`` for all reasons.
    """
    fault: str | None = getattr(transport, "certificateFault", None)
    return fault
