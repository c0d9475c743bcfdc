"""The client's side of a connection, and reconnecting."""
