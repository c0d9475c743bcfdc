"""Floor 0: bytes to frames, bytes to heads, and back. No rule of any conversation lives here."""
