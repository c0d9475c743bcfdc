"""Rooms: each path is a room, in which each message goes to all members.

Run it, and join a room with several clients: txhixie connect ws://127.0.0.1:8080/garden
"""

import sys
from collections import defaultdict

from txhixie import broadcast, run, serve

rooms = defaultdict(set)


def tell(path, message):
    """Send a message to all members of a room, and close those that do not read."""
    delivery = broadcast(rooms[path], message, slow="close")
    if delivery.closed:
        print(f"{path}: {delivery.closed} closed, {delivery.sent} left", flush=True)


async def member(channel):
    path = channel.offer.path
    rooms[path].add(channel)
    try:
        async for message in channel:
            tell(path, message)
    finally:  # after a close, an error or a lost connection
        rooms[path].discard(channel)
        if not rooms[path]:
            del rooms[path]


if __name__ == "__main__":
    run(sys.argv[1] if len(sys.argv) > 1 else "tcp:8080", serve(member))
