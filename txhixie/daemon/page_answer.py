"""Responses of the daemon's own pages: status, header fields and Content-Security-Policy."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

from twisted.web.http import NOT_ALLOWED, OK
from twisted.web.server import Request

from ..sansio.types import Headers

_NO_SOURCES: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of a plain text, and the first half of the policy of a page."""


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """
    Response: its status, body, content type and Content-Security-Policy.

    :ivar caching: the value of ``Cache-Control``.
    :ivar headers: further header fields.
    """

    status: int
    body: bytes
    contentType: str = "text/plain; charset=utf-8"
    policy: str = _NO_SOURCES
    caching: str = "no-cache"
    headers: Headers = ()

    def writeTo(self, request: Request) -> bytes:
        """
        Set the status and the header fields of a response.

        :return: the body, for ``render``; empty for a HEAD request, which gets the Content-Length
            of a GET request.
        """
        request.setResponseCode(self.status)
        for name, value in (
            ("Content-Type", self.contentType),
            ("Content-Security-Policy", self.policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", self.caching),
            ("Content-Length", str(len(self.body))),
        ):
            request.responseHeaders.setRawHeaders(name, [value])
        for field, content in self.headers:
            request.responseHeaders.setRawHeaders(field, [content])
        return b"" if request.method == b"HEAD" else self.body


GET_AND_HEAD: Final = (b"GET", b"HEAD")
"""Methods that the daemon's own pages accept."""


def wrongMethod(page: str) -> PageAnswer:
    """
    Return the response to another method than GET and HEAD.

    :param page: the name of the page, at the beginning of a sentence.
    """
    body = f"Method not allowed. {page} accepts GET and HEAD.\n".encode("ascii")
    return PageAnswer(NOT_ALLOWED, body, headers=((b"Allow", b"GET, HEAD"),))


def _hashes(page: bytes, element: bytes) -> str:
    """
    Return the sources of a Content-Security-Policy for all inline elements of a kind.

    :param page: the HTML page.
    :param element: name of the element, ``script`` or ``style``.
    :return: the SHA-256 of each element.
    """
    pattern = rb"<%b\b[^>]*>(.*?)</%b>" % (element, element)
    digests = (sha256(inline).digest() for inline in re.findall(pattern, page, re.DOTALL))
    return " ".join(f"'sha256-{b64encode(digest).decode('ascii')}'" for digest in digests)


def readPage(
    name: str,
    connections: str,
    alsoInline: str = "",
    caching: str = "no-cache",
    headers: Headers = (),
) -> PageAnswer:
    """
    Read a page of the package and make its Content-Security-Policy.

    The policy allows the page's own script and style, and its icon. Line ends become LF, as in an
    HTML parser: of a checkout with CRLF, a browser would compute another hash.

    :param name: name of the file.
    :param connections: sources to which the script of the page may connect.
    :param alsoInline: further sources for scripts and styles, before the hashes.
    :param caching: the value of ``Cache-Control``.
    :param headers: further header fields.
    """
    page = (files("txhixie.daemon") / "pages" / name).read_bytes().replace(b"\r\n", b"\n")
    policy = (
        f"{_NO_SOURCES}; script-src {alsoInline}{_hashes(page, b'script')}; style-src {alsoInline}"
        f"{_hashes(page, b'style')}; img-src data:; connect-src {connections}"
    )
    return PageAnswer(OK, page, "text/html; charset=utf-8", policy, caching, headers)
