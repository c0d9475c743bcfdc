"""Byte protocols inside messages: codings, streams and the endpoints that carry them."""
