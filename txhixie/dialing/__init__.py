"""Connecting to a host and port, before any WebSocket: lookup, TCP, proxies, TLS."""
