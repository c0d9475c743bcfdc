"""
txWS 0.9.1 echo (hixie-76 and hybi-07 to RFC 6455), with three changes that Python 3.11 needs.

usage: txws_echo.py PORT [text]

With ``text`` each message is read as a ``str``, as an application does. txWS itself passes the
bytes of a text on, also those that are not UTF-8.

Changed: ``array.tostring()`` was removed in Python 3.9; txWS puts a length above 125 into the frame
as ``"%s" % bytes``, which is the repr of the bytes; and txWS decodes the challenge of hixie-76 as
UTF-8, which most random challenges are not. txWS sends every frame as text, so this peer is never
sent binary.
"""

from __future__ import annotations

import array
import struct
import sys

import txws
from twisted.application.reactors import installReactor
from twisted.internet.protocol import Factory, Protocol

reactor = installReactor("epoll")


def mask(buf: bytes, key: bytes) -> bytes:
    """The function of txWS, with ``tobytes`` in place of ``tostring``, which Python 3.9 removed."""
    key_bytes = array.array("B", key)
    masked = array.array("B", buf)
    for i in range(len(masked)):
        masked[i] ^= key_bytes[i % 4]
    return masked.tobytes()


def make_frame(buf: str | bytes, opcode: int = 0x1) -> bytes:
    """Build an unmasked frame of RFC 6455, with the length as bytes."""
    payload = buf.encode("utf-8") if isinstance(buf, str) else buf
    size = len(payload)
    if size > 0xFFFF:
        length = b"\x7f" + struct.pack(">Q", size)
    elif size > 0x7D:
        length = b"\x7e" + struct.pack(">H", size)
    else:
        length = bytes([size])
    return bytes([0x80 | opcode]) + length + payload


class MendedProtocol(txws.WebSocketProtocol):
    """The protocol of txWS, which reads the eight bytes of a hixie-76 challenge as Latin-1."""

    def dataReceived(self, data: bytes) -> None:
        if self.state == txws.CHALLENGE or b"Sec-WebSocket-Key1" in data:
            self.buf += data
            self.openHixie76()
        else:
            super().dataReceived(data)

    def openHixie76(self) -> None:
        if self.state == txws.REQUEST and not self.readHead():
            return
        if len(self.buf) < 8:
            return
        challenge, self.buf = self.buf[:8], self.buf[8:]
        answer = txws.complete_hybi00(self.headers, challenge.decode("latin-1"))
        self.sendHyBi00Preamble()
        self.transport.write(answer)
        self.state = txws.FRAMES
        if self.buf:
            self.parseFrames()

    def readHead(self) -> bool:
        head, blank, rest = self.buf.partition(b"\r\n\r\n")
        if not blank:
            return False
        request, _, fields = head.partition(b"\r\n")
        self.location = request.decode().split(" ")[1]
        self.headers = txws.http_headers(fields.decode())
        self.buf = rest
        self.state = txws.CHALLENGE
        if not self.validateHeaders():
            self.loseConnection()
            return False
        return True


class Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


class ReadingEcho(Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data.decode().encode())


txws.mask = mask
txws.make_hybi07_frame = make_frame
factory = txws.WebSocketFactory(
    Factory.forProtocol(ReadingEcho if "text" in sys.argv[2:] else Echo)
)
factory.protocol = MendedProtocol
factory.noisy = False
reactor.listenTCP(int(sys.argv[1]), factory, interface="127.0.0.1", backlog=1024)
reactor.run()
