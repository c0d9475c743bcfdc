"""``twistd hixie``: options, routes, listening, and the services that routes name."""
