"""One WebSocket connection under Twisted, as a server or as a client."""
