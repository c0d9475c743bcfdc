"""A head as a person may see it: escaped, and without what is nobody else's business.

What a field holds is hidden by the field's name; in an address, by the name of the parameter. So a
head can be put into a report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_SECRET_FIELD: Final = re.compile(
    r"^(?:proxy-)?authorization\Z|^(?:set-)?cookie2?\Z|token|secret|password|api-?key|session"
)
"""Those that HTTP has for it, and what people call their own. It is searched for: to match a whole
name with ``.*`` around these words takes quadratic time for a name of many of them and a line feed.
"""

_SECRET_PARAMETER: Final = re.compile(
    r"([?&;](?:[\w.-]*(?:token|secret|password|passwd|session|signature|api_?key)|auth|key|sig)=)"
    r"[^&;#\s]+",
    re.IGNORECASE,
)
_BEARER: Final = re.compile(r"((?:bearer|authorization)\.)[^,\s]+", re.IGNORECASE)
"""A credential among subprotocols, where a page can put one: Kubernetes wants it there."""


def masked_lines(head: bytes) -> Iterator[str]:
    """
    The lines of a head in ASCII, the empty one that ends it included.

    :param head: a whole one, of a request or an answer.
    """
    for line in head.decode("latin-1").split("\r\n")[:-2]:
        yield ascii(_masked(line))[1:-1]
    yield ""


def _masked(line: str) -> str:
    name, colon, _ = line.partition(":")
    if colon and _SECRET_FIELD.search(name.strip().lower()):
        return f"{name}: ..."
    return _BEARER.sub(r"\1...", _SECRET_PARAMETER.sub(r"\1...", line))
