"""``wsproto``, which has no sockets of its own, over asyncio's streams; client and server."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from peers.programs.peer_commands import (
    NARROW,
    REFUSED_BODY,
    REFUSED_PATH,
    SUBPROTOCOL,
    Library,
    hexed,
    under_asyncio,
)

wsproto = import_module("wsproto")
events = import_module("wsproto.events")
extensions = import_module("wsproto.extensions")


def offers(deflate: str) -> list[Any]:
    match deflate:
        case "plain":
            return []
        case "fresh":
            made = extensions.PerMessageDeflate(
                client_no_context_takeover=True, server_no_context_takeover=True
            )
        case "narrow":
            made = extensions.PerMessageDeflate(
                client_max_window_bits=NARROW, server_max_window_bits=NARROW
            )
        case _:
            made = extensions.PerMessageDeflate()
    return [made]


class Conversation:
    def __init__(self, library: Wsproto, writer: asyncio.StreamWriter, side: Any, deflate: str):
        self.say = library.voice()
        self.writer = writer
        self.state: Any = wsproto.WSConnection(side)
        self.deflate = deflate
        self.parts: list[Any] = []
        self.body = b""
        self.status = 0
        self.over = False

    def send(self, event: Any) -> None:
        self.writer.write(self.state.send(event))

    async def talk(self, reader: asyncio.StreamReader) -> None:
        try:
            while not self.over and (data := await reader.read(65536)):
                self.state.receive_data(data)
                for event in self.state.events():
                    self.meet(event)
                await self.writer.drain()
        except wsproto.utilities.RemoteProtocolError as error:
            self.say("failed", hexed(str(error)))
        except ConnectionError:
            pass
        if not self.over and not self.status:
            self.say("close", 1006, "-")
        self.writer.close()

    def meet(self, event: Any) -> None:
        match event:
            case events.Request():
                self.answer(event)
            case events.AcceptConnection():
                self.say("open", event.subprotocol or "-")
            case events.RejectConnection():
                self.status = event.status_code
                if not event.has_body:
                    self.say("refused", self.status, "-")
            case events.RejectData():
                self.body += event.data
                if event.body_finished:
                    self.say("refused", self.status, hexed(self.body))
            case events.TextMessage() | events.BytesMessage():
                self.parts.append(event.data)
                if event.message_finished:
                    whole = type(event.data)().join(self.parts)
                    self.parts = []
                    self.send(type(event)(whole))
            case events.Ping():
                self.send(event.response())
            case events.Pong():
                self.say("pong", hexed(event.payload))
            case events.CloseConnection():
                if self.state.state.name == "REMOTE_CLOSING":
                    self.send(event.response())
                self.say("close", int(event.code), hexed(event.reason or ""))
                self.over = True

    def answer(self, request: Any) -> None:
        if request.target == REFUSED_PATH:
            body = REFUSED_BODY.encode()
            length = (b"content-length", str(len(body)).encode())
            self.send(events.RejectConnection(status_code=403, headers=[length], has_body=True))
            self.send(events.RejectData(data=body))
            return
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in request.subprotocols else None
        self.send(events.AcceptConnection(subprotocol, extensions=offers(self.deflate)))
        self.say("open", subprotocol or "-")


class Wsproto(Library):
    server: Any = None
    conversation: Any = None
    task: Any = None

    async def serve(self, deflate: str) -> int:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.conversation = Conversation(self, writer, wsproto.ConnectionType.SERVER, deflate)
            await self.conversation.talk(reader)

        self.server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    async def connect(
        self, url: str, version: int, deflate: str, subprotocols: list[str], origin: str | None
    ) -> None:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        self.conversation = Conversation(self, writer, wsproto.ConnectionType.CLIENT, deflate)
        headers = [] if origin is None else [(b"origin", origin.encode())]
        asked = events.Request(
            host=parts.netloc,
            target=parts.path,
            subprotocols=subprotocols,
            extensions=offers(deflate),
            extra_headers=headers,
        )
        self.conversation.send(asked)
        self.task = asyncio.create_task(self.conversation.talk(reader))

    async def pieces(self, parts: list[str]) -> None:
        for number, part in enumerate(parts, 1):
            self.conversation.send(events.TextMessage(part, message_finished=number == len(parts)))

    async def ping(self, payload: bytes) -> None:
        self.conversation.send(events.Ping(payload))

    async def close(self, code: int, reason: str) -> None:
        self.conversation.send(events.CloseConnection(code, reason))

    async def reset(self) -> None:
        if self.conversation is not None:
            self.conversation.writer.transport.abort()
            self.conversation = None
        if self.server is not None:
            self.server.close()
            self.server = None


if __name__ == "__main__":
    under_asyncio(Wsproto)
