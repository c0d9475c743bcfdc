"""Floor 1: what may be agreed besides the dialect. An extension is a file and a row here."""

from typing import Final

from .deflate_frame import DeflateFrame
from .extension import Extension
from .permessage_deflate import PermessageDeflate

EXTENSIONS: Final[tuple[Extension, ...]] = (
    PermessageDeflate(),
    DeflateFrame(),
)
"""Every extension there is, as its defaults have it, the better first."""

DEFAULT_EXTENSIONS: Final[tuple[Extension, ...]] = EXTENSIONS[:1]
"""Those that are agreed unless somebody says otherwise."""
