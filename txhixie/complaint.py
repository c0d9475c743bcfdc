"""What others' code raises at an operator's words, or at a peer's, in a line for the operator.

Parsers of Twisted's endpoint descriptions raise whatever befalls them: the ``TypeError`` of a call
with a keyword too many, an ``OSError``, what OpenSSL says of a file that holds no key.
"""

from __future__ import annotations

import re
from typing import Final

_UNKNOWN: Final = re.compile(r"unexpected keyword argument '(\w+)'")
_MISSING: Final = re.compile(r"missing \d+ required [\w-]+ arguments?: (.+)")


def complaint(error: Exception, expected: str) -> str:
    """
    One sentence, "expected ...".

    :param expected: what should have been there, unless it is a file that is to blame.
    """
    if isinstance(error, OSError):
        name = f": {error.filename}" if error.filename else ""
        return f"expected a file that can be read: {error.strerror or error}{name}"
    if (reasons := reasons_of(error)) is not None:
        return f"expected a certificate and its key, in PEM: {reasons}"
    return f"expected {expected}: {_words(error)}"


def _words(error: Exception) -> str:
    text = str(error)
    if not isinstance(error, TypeError):
        return text or type(error).__name__
    if (unknown := _UNKNOWN.search(text)) is not None:
        return f"it has no {unknown[1]}="
    if (missing := _MISSING.search(text)) is not None:
        return f"without {missing[1].replace(chr(39), '')}"
    return "it takes fewer parts" if "positional" in text else text


def reasons_of(error: BaseException | None) -> str | None:
    """
    OpenSSL's own words: its errors hold a list of library, function and reason each.

    :return: ``None`` if it is not one of these.
    """
    held = error.args[0] if error is not None and error.args else None
    if not isinstance(held, list):
        return None
    return ", ".join(str(entry[-1]) for entry in held) or "nothing of the kind"
