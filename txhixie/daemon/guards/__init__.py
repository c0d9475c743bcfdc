"""Guards of the routes of ``twistd hixie``: conditions that a client has to meet."""
