"""The pure half: no Twisted, no socket, no clock."""
