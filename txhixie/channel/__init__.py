"""Coroutines: a channel to send to and to iterate over, on either side."""
