"""Extensions of the protocol: the existing ones, and the interfaces for further ones."""

from .sansio.extensions import CLIENT_EXTENSIONS, DEFAULT_EXTENSIONS, EXTENSIONS
from .sansio.extensions.deflate_frame import DeflateFrame
from .sansio.extensions.extension import Agreed, Extension, Transform
from .sansio.extensions.permessage_deflate import PermessageDeflate

__all__ = [
    "CLIENT_EXTENSIONS",
    "DEFAULT_EXTENSIONS",
    "EXTENSIONS",
    "Agreed",
    "DeflateFrame",
    "Extension",
    "PermessageDeflate",
    "Transform",
]
