"""Extensions that may be agreed besides the dialect. Each is a file and a row here."""

from typing import Final

from .deflate_frame import DeflateFrame
from .extension import Extension
from .permessage_deflate import PermessageDeflate

EXTENSIONS: Final[tuple[Extension, ...]] = (
    # Netty's client leaves when it is told client_no_context_takeover without having asked; told a
    # smaller window it spoils what it sends, or sends nothing, for want of a good zlib. So an
    # inflater of up to 44 KiB is kept for a peer that has sent something compressed.
    PermessageDeflate(client_takeover=True),
    DeflateFrame(),
)
"""Every extension there is, as it is agreed unless somebody says otherwise, the better first."""

DEFAULT_EXTENSIONS: Final = EXTENSIONS
"""Extensions that a server agrees on by default."""

CLIENT_EXTENSIONS: Final[tuple[Extension, ...]] = (PermessageDeflate(server_takeover=True),)
"""Extensions that a client offers by default. It does not ask the server to drop its context, which
many servers do not answer."""
