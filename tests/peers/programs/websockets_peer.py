"""``websockets`` under asyncio, client and server."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any

from peers.programs.peer_commands import (
    NARROW,
    REFUSED_BODY,
    REFUSED_PATH,
    SUBPROTOCOL,
    Library,
    hexed,
    under_asyncio,
)

client = import_module("websockets.asyncio.client")
server = import_module("websockets.asyncio.server")
exceptions = import_module("websockets.exceptions")
permessage_deflate = import_module("websockets.extensions.permessage_deflate")

DEFLATES: dict[str, dict[str, Any]] = {
    "fresh": {"server_no_context_takeover": True, "client_no_context_takeover": True},
    "narrow": {"server_max_window_bits": NARROW, "client_max_window_bits": NARROW},
}


def compression(deflate: str, factory: Any) -> dict[str, Any]:
    if deflate == "default":
        return {}
    made = [] if deflate == "plain" else [factory(**DEFLATES[deflate])]
    return {"compression": None, "extensions": made}


class Websockets(Library):
    server: Any = None
    connection: Any = None

    async def serve(self, deflate: str) -> int:
        def refuse(connection: Any, request: Any) -> Any:
            return connection.respond(403, REFUSED_BODY) if request.path == REFUSED_PATH else None

        def choose(connection: Any, offered: Any) -> str | None:
            return SUBPROTOCOL if SUBPROTOCOL in offered else None

        self.server = await server.serve(
            self.talk,
            "127.0.0.1",
            0,
            process_request=refuse,
            subprotocols=[SUBPROTOCOL],
            # The library's own choice refuses, with 400, a client that offers none of these.
            select_subprotocol=choose,
            max_size=None,
            ping_interval=None,
            **compression(deflate, permessage_deflate.ServerPerMessageDeflateFactory),
        )
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    async def connect(
        self, url: str, version: int, deflate: str, subprotocols: list[str], origin: str | None
    ) -> None:
        try:
            connection = await client.connect(
                url,
                origin=origin,
                subprotocols=subprotocols or None,
                proxy=None,
                max_size=None,
                ping_interval=None,
                **compression(deflate, permessage_deflate.ClientPerMessageDeflateFactory),
            )
        except exceptions.InvalidStatus as refused:
            response = refused.response
            self.voice()("refused", response.status_code, hexed(response.body or b""))
            return
        self.task = asyncio.create_task(self.talk(connection))

    async def talk(self, connection: Any) -> None:
        say = self.voice()
        self.connection = connection
        say("open", connection.subprotocol or "-")
        try:
            async for message in connection:
                await connection.send(message)
        except exceptions.ConnectionClosed:
            pass
        await connection.wait_closed()
        say("close", connection.close_code, hexed(connection.close_reason))

    async def pieces(self, parts: list[str]) -> None:
        await self.connection.send(parts)

    async def ping(self, payload: bytes) -> None:
        say = self.voice()
        await (await self.connection.ping(payload))
        say("pong", hexed(payload))

    async def close(self, code: int, reason: str) -> None:
        await self.connection.close(code, reason)

    async def reset(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.transport.abort()
        listening, self.server = self.server, None
        if listening is not None:
            listening.close()
            await listening.wait_closed()


if __name__ == "__main__":
    under_asyncio(Websockets)
