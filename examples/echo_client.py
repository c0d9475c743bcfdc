"""Sends a message to an echo server, prints the answer, and closes the connection.

python echo_client.py ws://127.0.0.1:8080/ hello
"""

import sys

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react

from txhixie import HixieError, connect


async def main(reactor, url, words):
    try:
        async with connect(url, reactor=reactor) as channel:
            await channel.send(words)
            print(await channel.receive())
    except HixieError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    react(lambda reactor: ensureDeferred(main(reactor, *sys.argv[1:])))
