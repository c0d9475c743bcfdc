"""WebSocket servers: handshake, access rules, PROXY protocol, bounds of ordinary HTTP."""
