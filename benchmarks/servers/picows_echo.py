"""
picows echo: frames parsed and built in Cython, the fastest Python peer. It sends the payload from
the read buffer, and never looks at it. With the word ``text`` it makes a ``str`` of each text, and
``bytes`` of each binary message, as an application that reads messages does.

usage: picows_echo.py PORT [uvloop] [text] [CERTIFICATE.pem]
"""

from on_asyncio import PORT, WORDS, run, tls
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server


class Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_memoryview())
        else:
            self.echo(transport, frame)

    def echo(self, transport: WSTransport, frame: WSFrame) -> None:
        transport.send(frame.msg_type, frame.get_payload_as_memoryview(), frame.fin)


class ReadingEcho(Echo):
    def echo(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT and frame.fin:
            text = frame.get_payload_as_utf8_text()
            transport.send(WSMsgType.TEXT, text.encode())
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes(), frame.fin)


def accept(request: WSUpgradeRequest) -> Echo:
    return ReadingEcho() if "text" in WORDS else Echo()


async def main() -> None:
    server = await ws_create_server(accept, "127.0.0.1", PORT, ssl=tls(), backlog=1024)
    await server.serve_forever()


run(main())
