"""Workers of the daemon: several processes that serve the same ports, and their parent."""
