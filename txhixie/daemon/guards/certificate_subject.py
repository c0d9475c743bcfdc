"""Values of the condition ``client-certificate``."""

from __future__ import annotations

from typing import Final

REQUIRED: Final = "required"
"""Value for a certificate with any subject."""


def read_certificate_subject(text: str) -> str:
    """
    Check one value of the condition.

    :return: the value.
    :raises ValueError: "expected ..." for text that is no subject.
    """
    if text != REQUIRED:
        from ...server.tls.subject import read_subject  # imports cryptography

        try:
            read_subject(text)
        except ValueError as error:
            raise ValueError(str(error).replace("expected", "expected required or", 1)) from None
    return text
