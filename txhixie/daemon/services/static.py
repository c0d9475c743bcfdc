"""The static service: the files of a directory, on the same port as the WebSocket services.

Files that may be private are not served: there is no directory listing, no name that begins with a
dot (except ``.well-known``, RFC 8615), no file that a symbolic link refers to outside the
directory, and no device, pipe or socket.
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
    Resource of a directory, or of a file in this directory.

    :ivar root: the directory of the service, with all symbolic links resolved.
    """

    childNotFound: IResource = notFound()  # type: ignore[assignment]  # any resource can be the page for a missing file

    def __init__(self, path: str, root: Path | None = None) -> None:
        # The type application/octet-stream keeps a browser from guessing the type of a file with an
        # unknown extension.
        super().__init__(path, "application/octet-stream")
        self.indexNames = list(_INDEX)
        self.root = Path(path).resolve() if root is None else root

    def createSimilarFile(self, path: str) -> Pages:
        """Make a resource for a path below, with the same root."""
        return Pages(path, self.root)

    def directoryListing(self) -> IResource:
        """Return a 404: the directory has no listing, only an index file."""
        return self.childNotFound

    def getChild(self, path: bytes, request: Request) -> IResource:
        """
        Return the resource of a name in the directory; a 404 if the file is not served.

        Names with a NUL byte, a slash or invalid UTF-8 are a 404. For a NUL byte or invalid UTF-8,
        Twisted would log a traceback; a name with an escaped slash would be resolved, so that
        ``x%2F..%2F.git`` would be ``.git``.
        """
        if b"\0" in path or b"/" in path or not _decodes(path):
            return self.childNotFound
        if path.startswith(b".") and path != b".well-known":
            return self.childNotFound
        child: IResource = super().getChild(path, request)  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        if isinstance(child, Pages) and not child.isServed():
            return self.childNotFound
        return child

    def isServed(self) -> bool:
        """
        Whether the path is a regular file or a directory inside the root, with links resolved.

        Only the last segment is checked, since each segment before was checked in the same way: to
        resolve the whole path for each segment would take time with the square of their number.
        """
        path = Path(self.path)
        if path.is_symlink() and not path.resolve().is_relative_to(self.root):
            return False
        return path.is_file() or path.is_dir()

    def render(self, request: Request) -> Any:
        """Send the file, with a header field against guessing its type."""
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        return super().render(request)  # type: ignore[no-untyped-call]  # Twisted has no annotations here

    def makeProducer(self, request: Request, fileForReading: Any) -> Any:
        """
        Make the producer that sends the file, or one range of the file.

        For several ranges the whole file is sent, as RFC 9110 section 14.2 allows: a request head
        has room for thousands of ranges, each of them the whole file. The whole file is also sent
        for a range with ``If-Range``, which Twisted does not support.
        """
        size: int = self.getsize()
        wanted = _range(request.getHeader(b"range") or b"", size)
        if wanted is None or request.getHeader(b"if-range") is not None:
            request.requestHeaders.removeHeader(b"range")
        else:
            request.requestHeaders.setRawHeaders(b"range", [wanted])
        return super().makeProducer(request, fileForReading)  # type: ignore[no-untyped-call]  # Twisted has no annotations here

    def redirect(self, request: Request) -> bytes:
        """
        Redirect from the path of a directory to the same path with a slash.

        The ``Location`` is relative, since a reverse proxy may have another scheme and host name,
        and since a path that begins with two slashes would be another host.
        """
        name = quote((request.prepath or [b"."])[-1])
        request.setResponseCode(FOUND)
        request.setHeader(b"Location", f"./{name}/".encode("ascii"))
        return b""


def buildStatic(
    reactor: Any, description: str, options: Mapping[str, Any], context: Context
) -> Pages:
    """
    Make a static service.

    :raises ValueError: for a path that is not a directory.
    """
    name = description.partition(":")[2]
    if not name or not Path(name).is_dir():
        found = f"{shown(name)} is not a directory" if name else "there is no path"
        raise ValueError(f"expected static:/PATH of an existing directory; {found}")
    return Pages(str(Path(name).absolute()))


def _range(wanted: bytes, size: int) -> bytes | None:
    """
    Read a ``Range`` field with one range (RFC 9110 section 14.1.2).

    The range is checked here, since Twisted seeks to before the beginning of the file when more
    last bytes are requested than the file has, accepts numbers with signs and underscores, and
    raises for an empty list.

    :param wanted: value of the field.
    :param size: bytes of the file.
    :return: value of the field for Twisted; ``None`` for any other value.
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
