"""A client that prints the messages of a server, and connects again after each disconnection.

python reconnecting_client.py ws://127.0.0.1:8080/

The first delay is random, up to five seconds, so that a thousand clients do not return at the same
moment to a server that has restarted. Each further delay is longer.
"""

import sys
import time

from twisted.internet import reactor

from txhixie import CleanClose, HandshakeRefused, WebSocketClientService, serve


async def conversation(channel):
    """Called with each new connection, which is closed when the coroutine returns."""
    await channel.send("here I am")
    async for message in channel:
        print(message, flush=True)


def token():
    """Header fields of the next attempt: a token that would have expired since the last one."""
    return ((b"Authorization", b"Bearer %d" % time.time_ns()),)


def again(error):
    """Whether to connect again after an attempt failed or a connection ended."""
    refused = isinstance(error, HandshakeRefused) and error.status in (401, 403)
    unwanted = isinstance(error, CleanClose) and error.code == 1008
    if not (refused or unwanted):
        return True
    print(f"not connecting again: {error}")
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
