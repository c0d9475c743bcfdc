"""Channels: conversations for coroutines, on the client side and on the server side."""
