"""Pages about the daemon itself: its status, its metrics and its health."""
