"""Handshakes: one file for each family of dialects, client and server side."""
