"""Buses: each one passes the messages of a topic on to the subscribers of the topic."""
