"""
websockets echo (its asyncio implementation, with its default permessage-deflate). Each message
of a connection to /broadcast is sent to all connections there.

usage: websockets_echo.py PORT [uvloop] [CERTIFICATE.pem]
"""

from on_asyncio import PORT, run, tls
from websockets.asyncio.server import ServerConnection, broadcast, serve

listeners: set[ServerConnection] = set()


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def tell_all(connection: ServerConnection) -> None:
    listeners.add(connection)
    try:
        async for message in connection:
            broadcast(listeners, message)
    finally:
        listeners.discard(connection)


async def route(connection: ServerConnection) -> None:
    request = connection.request
    await (tell_all if request and request.path == "/broadcast" else echo)(connection)


async def main() -> None:
    options = {"backlog": 1024, "max_size": 1 << 26}
    async with serve(route, "127.0.0.1", PORT, ssl=tls(), **options) as server:
        await server.serve_forever()


run(main())
