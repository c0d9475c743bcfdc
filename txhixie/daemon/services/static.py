"""The static service: the ordinary pages of a directory, on the port of the sockets.

What is not meant for everybody is not served: no listing, no name that begins with a dot (but
``.well-known``, RFC 8615), nothing that a link leads to outside the directory, nothing but regular
files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from twisted.web.http import FOUND
from twisted.web.pages import notFound
from twisted.web.resource import IResource
from twisted.web.server import Request
from twisted.web.static import File

from ...display import shown
from .service import Context

_INDEX: Final = ("index.html", "index.htm")

_RANGE: Final = re.compile(rb"bytes=[ \t]*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]*")


class Pages(File):
    """
    A directory, or a file in it.

    :ivar root: the directory that is served, with all links resolved.
    """

    childNotFound: IResource = notFound()  # type: ignore[assignment]

    def __init__(self, path: str, root: Path | None = None) -> None:
        # A file of a kind that is not known is none for a browser to guess at.
        super().__init__(path, "application/octet-stream")
        self.indexNames = list(_INDEX)
        self.root = Path(path).resolve() if root is None else root

    def createSimilarFile(self, path: str) -> Pages:
        """What lies below is of the same directory."""
        return Pages(path, self.root)

    def directoryListing(self) -> IResource:
        """There is none: who wants to show what there is writes an index."""
        return self.childNotFound

    def getChild(self, path: bytes, request: Request) -> IResource:
        """
        The file of that name, if it is one for everybody.

        A name that cannot be one is looked for nowhere: Twisted would log a traceback for it, and
        resolve one with an escaped slash, so that ``x%2F..%2F.git`` would be ``.git``.
        """
        if b"\0" in path or b"/" in path or not _decodes(path):
            return self.childNotFound
        if path.startswith(b".") and path != b".well-known":
            return self.childNotFound
        child: IResource = super().getChild(path, request)  # type: ignore[no-untyped-call]
        if isinstance(child, Pages) and not child.isServed():
            return self.childNotFound
        return child

    def isServed(self) -> bool:
        """
        Whether it is a regular file or a directory, and inside the root with links resolved. What
        lies above has been asked the same: to resolve all of a path for each of its segments would
        cost the square of their number.
        """
        path = Path(self.path)
        if path.is_symlink() and not path.resolve().is_relative_to(self.root):
            return False
        return path.is_file() or path.is_dir()

    def render(self, request: Request) -> Any:
        """Send it."""
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        return super().render(request)  # type: ignore[no-untyped-call]

    def makeProducer(self, request: Request, fileForReading: Any) -> Any:
        """
        Make what sends the file, or one range of it. Any other ``Range`` is answered with the whole
        file, as RFC 9110 section 14.2 allows: several ranges, since a head has room for thousands,
        each of them the whole file, and one with ``If-Range``, which Twisted does not look at.
        """
        size: int = self.getsize()
        wanted = _range(request.getHeader(b"range") or b"", size)
        if wanted is None or request.getHeader(b"if-range") is not None:
            request.requestHeaders.removeHeader(b"range")
        else:
            request.requestHeaders.setRawHeaders(b"range", [wanted])
        return super().makeProducer(request, fileForReading)  # type: ignore[no-untyped-call]

    def redirect(self, request: Request) -> bytes:
        """
        To the same with a slash, said relatively: whoever stands before us may be reached by
        another scheme and name, and a path with two slashes would be another host's.
        """
        name = quote((request.prepath or [b"."])[-1])
        request.setResponseCode(FOUND)
        request.setHeader(b"Location", f"./{name}/".encode("ascii"))
        return b""


def buildStatic(
    reactor: Any, description: str, options: Mapping[str, Any], context: Context
) -> Pages:
    """
    The row's builder.

    :raises ValueError: for what is no directory.
    """
    name = description.partition(":")[2]
    if not name or not Path(name).is_dir():
        found = "nothing is named" if not name else f"{shown(name)} is none"
        raise ValueError(f"expected static: and a directory that exists, and {found}")
    return Pages(str(Path(name).absolute()))


def _range(wanted: bytes, size: int) -> bytes | None:
    """
    A field's one range (RFC 9110 section 14.1.2) as Twisted understands it; ``None`` for any other
    value. Twisted seeks to before the beginning for more last bytes than there are, takes numbers
    with signs and underscores, and raises for an empty list.

    :param size: bytes of the file.
    """
    match = _RANGE.fullmatch(wanted)
    if match is None or size == 0:
        return None
    first, last, final = match.groups()
    if final is not None:
        return b"bytes=-%d" % min(int(final), size)
    if last and int(last) < int(first):
        return None
    return b"bytes=%b-%b" % (first, last)


def _decodes(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
