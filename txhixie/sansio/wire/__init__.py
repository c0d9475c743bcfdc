"""Bytes to frames, and back. No rule of any conversation lives here."""
