"""Framings: bytes to frames and back, without any rule about messages or conversations."""
