"""Stays connected: prints what a server sends, and comes back when that has gone.

python reconnecting_client.py ws://127.0.0.1:8080/

After the first end it waits up to five seconds, at random, so that the thousand clients of a server
that has fallen do not come back all at once; and then longer each time.
"""

import sys
import time

from twisted.internet import reactor

from txhixie import CleanClose, HandshakeRefused, WebSocketClientService, serve


async def conversation(channel):
    """Called with each new connection; when it returns, that is closed."""
    await channel.send("here I am")
    async for message in channel:
        print(message, flush=True)


def token():
    """Headers of the next attempt, for what would have expired since the last."""
    return ((b"Authorization", b"Bearer %d" % time.time_ns()),)


def again(error):
    """Whether there is another attempt after this one has failed, or ended."""
    refused = isinstance(error, HandshakeRefused) and error.status in (401, 403)
    unwanted = isinstance(error, CleanClose) and error.code == 1008
    if not (refused or unwanted):
        return True
    print(f"they do not want us: {error}")
    reactor.stop()
    return False


if __name__ == "__main__":
    url = sys.argv[1]
    service = WebSocketClientService.new(
        reactor, url, serve(conversation), freshHeaders=token, policy=again
    )
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
