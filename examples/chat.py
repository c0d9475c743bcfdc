"""A chat: run it, and open http://127.0.0.1:8080/ in several windows.

One port serves the page (chat.html) and the WebSocket.
"""

import sys
from pathlib import Path

from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data

from txhixie import run, serve

MOST = 1024 * 1024  # bytes that may wait to be sent to one member

members = set()


def tell(message):
    """Send a message to every member, and close the connection of a member that is too slow."""
    for member in list(members):
        if member.unsent <= MOST:
            member.send(message)  # not awaited: the others need not wait for this member
        else:
            members.discard(member)
            member.close(1013, "too slow")


async def chat(member):
    members.add(member)
    try:
        async for message in member:
            if isinstance(message, bytes):
                member.close(1003, "text only")
                break
            tell(message)
    finally:  # after a close, an error or a lost connection
        members.discard(member)


if __name__ == "__main__":
    where = sys.argv[1] if len(sys.argv) > 1 else "tcp:8080"
    page = Resource()
    page.putChild(b"", Data(Path(__file__).with_suffix(".html").read_bytes(), "text/html"))
    run(where, serve(chat), elsewhere=Site(page))
