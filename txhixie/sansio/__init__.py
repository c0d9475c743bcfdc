"""The pure half of the package: the protocol without Twisted, sockets and clocks."""
