"""Says something to an echo server that only an HTTP proxy can reach, and prints what comes back.

python behind_proxy.py wss://echo.example/ hello http://name:secret@proxy.example:3128

Without the last argument the proxy is the one that the environment names, as for curl.
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
        # Its body is a page of the proxy's, for people.
        raise SystemExit(f"the proxy says {refused.status}, not the server") from None
    except HixieError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    react(main, sys.argv[1:])
