"""Client side of a connection, and reconnecting."""
