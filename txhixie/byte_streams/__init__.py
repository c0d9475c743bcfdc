"""Byte protocols over WebSocket: codings, streams and their endpoints."""
