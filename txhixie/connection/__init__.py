"""One connection under Twisted, whichever side."""
