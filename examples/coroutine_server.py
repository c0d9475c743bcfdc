"""A game, guess a number: one coroutine for each client sends messages and awaits answers."""

import secrets
import sys

from txhixie import run, serve


async def guess(channel):
    secret = secrets.randbelow(100) + 1
    await channel.send("I think of a number from 1 to 100.")
    async for message in channel:
        if not message.isdecimal():
            await channel.send("A number, please.")
        elif int(message) == secret:
            await channel.send("That is it.")
            return  # the connection is closed when the coroutine returns
        else:
            await channel.send("Higher." if int(message) < secret else "Lower.")


if __name__ == "__main__":
    where = sys.argv[1] if len(sys.argv) > 1 else "tcp:8080"
    run(where, serve(guess))
