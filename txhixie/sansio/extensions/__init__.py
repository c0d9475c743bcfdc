"""Extensions of the protocol: each is one file, and one row of the table ``EXTENSIONS``."""

from typing import Final

from .deflate_frame import DeflateFrame
from .extension import Extension
from .permessage_deflate import PermessageDeflate

EXTENSIONS: Final[tuple[Extension, ...]] = (
    # Netty's client closes the connection when a response has client_no_context_takeover that it
    # did not offer. With a smaller window it sends corrupt data or nothing, since its zlib does not
    # support one. So the server keeps an inflater of up to 44 KiB for each client that has sent a
    # compressed message.
    PermessageDeflate(client_takeover=True),
    DeflateFrame(),
)
"""All extensions with their default settings, the preferred one first."""

DEFAULT_EXTENSIONS: Final = EXTENSIONS
"""Extensions that a server accepts by default."""

CLIENT_EXTENSIONS: Final[tuple[Extension, ...]] = (PermessageDeflate(server_takeover=True),)
"""Extensions that a client offers by default.

Without ``server_no_context_takeover``, which many servers do not answer."""
