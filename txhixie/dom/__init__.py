"""The names that pages use: ``WebSocket`` and its events."""
