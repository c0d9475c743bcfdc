"""
aiohttp echo, with aiohttp's default permessage-deflate.

usage: aiohttp_echo.py PORT [uvloop] [CERTIFICATE.pem]
"""

from aiohttp import WSMsgType, web
from on_asyncio import PORT, new_loop, tls


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
web.run_app(
    app,
    host="127.0.0.1",
    port=PORT,
    print=None,
    access_log=None,
    backlog=1024,
    loop=new_loop(),
    ssl_context=tls(),
)
