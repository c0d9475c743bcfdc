"""Byte streams over WebSocket messages: the public names of ``byte_streams``."""

from .byte_streams.coding import Coding
from .byte_streams.stream import StreamApplications, StreamClientEndpoint

__all__ = ["Coding", "StreamApplications", "StreamClientEndpoint"]
