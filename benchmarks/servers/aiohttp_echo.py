"""
aiohttp echo on asyncio, with aiohttp's default permessage-deflate.

usage: aiohttp_echo.py PORT
"""

import sys

from aiohttp import WSMsgType, web


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(max_msg_size=1 << 26)
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


app = web.Application()
app.router.add_get("/", echo)
port = int(sys.argv[1])
web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None, backlog=1024)
