"""Sends a message to an echo server through an HTTP proxy, and prints the answer.

python behind_proxy.py wss://echo.example/ hello http://name:secret@proxy.example:3128

Without the last argument the proxy is that of the environment (https_proxy), as for curl.
"""

import sys

from twisted.internet.task import react

from txhixie import HixieError, ProxyRefused, connect


async def main(reactor, url, words, proxy="environment"):
    try:
        async with connect(url, reactor=reactor, proxy=proxy) as channel:
            await channel.send(words)
            print(await channel.receive())
    except ProxyRefused as refused:
        # The body of the refusal is an HTML page of the proxy, and is not printed.
        raise SystemExit(f"the proxy refused with status {refused.status}") from None
    except HixieError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    react(main, sys.argv[1:])
