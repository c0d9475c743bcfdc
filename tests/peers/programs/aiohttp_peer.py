"""``aiohttp``, client and server. It says nothing of a refusal's body, and sends no fragments."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any

from peers.programs.peer_commands import (
    NARROW,
    REFUSED_BODY,
    REFUSED_PATH,
    SUBPROTOCOL,
    UNSEEN,
    Library,
    hexed,
    under_asyncio,
)

aiohttp = import_module("aiohttp")
import_module("aiohttp.web")

BITS = {"plain": 0, "default": 15, "narrow": NARROW}


class Aiohttp(Library):
    runner: Any = None
    session: Any = None
    request: Any = None
    socket: Any = None
    task: Any = None

    async def serve(self, deflate: str) -> int:
        async def answer(request: Any) -> Any:
            if request.path == REFUSED_PATH:
                return aiohttp.web.Response(status=403, text=REFUSED_BODY)
            compress = deflate != "plain"
            socket = aiohttp.web.WebSocketResponse(
                autoping=False, protocols=[SUBPROTOCOL], compress=compress, max_msg_size=0
            )
            await socket.prepare(request)
            self.request = request
            await self.talk(socket, socket.ws_protocol)
            return socket

        application = aiohttp.web.Application()
        application.router.add_get("/{path:.*}", answer)
        self.runner = aiohttp.web.AppRunner(application)
        await self.runner.setup()
        await aiohttp.web.TCPSite(self.runner, "127.0.0.1", 0).start()
        port: int = self.runner.addresses[0][1]
        return port

    async def connect(
        self, url: str, version: int, deflate: str, subprotocols: list[str], origin: str | None
    ) -> None:
        self.session = aiohttp.ClientSession()
        try:
            socket = await self.session.ws_connect(
                url,
                origin=origin,
                protocols=subprotocols,
                compress=BITS[deflate],
                autoping=False,
                max_msg_size=0,
            )
        except aiohttp.WSServerHandshakeError as refused:
            self.voice()("refused", refused.status, UNSEEN)
            return
        self.task = asyncio.create_task(self.talk(socket, socket.protocol))

    async def talk(self, socket: Any, subprotocol: str | None) -> None:
        say = self.voice()
        self.socket = socket
        say("open", subprotocol or "-")
        reason = ""
        while True:
            message = await socket.receive()
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    await socket.send_str(message.data)
                case aiohttp.WSMsgType.BINARY:
                    await socket.send_bytes(message.data)
                case aiohttp.WSMsgType.PING:
                    await socket.pong(message.data)
                case aiohttp.WSMsgType.PONG:
                    say("pong", hexed(message.data))
                case aiohttp.WSMsgType.CLOSE:
                    reason = message.extra or ""
                    break
                case _:
                    break
        say("close", socket.close_code or 1006, hexed(reason))

    async def ping(self, payload: bytes) -> None:
        await self.socket.ping(payload)

    async def close(self, code: int, reason: str) -> None:
        await self.socket.close(code=code, message=reason.encode())

    async def reset(self) -> None:
        self.socket = None
        if self.request is not None and self.request.transport is not None:
            self.request.transport.abort()
        self.request = None
        if self.task is not None:
            self.task.cancel()
            self.task = None
        if self.session is not None:
            await self.session.close()
            self.session = None
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None


if __name__ == "__main__":
    under_asyncio(Aiohttp)
