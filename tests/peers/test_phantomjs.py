"""A real browser of the time: PhantomJS 1.9.8, a WebKit of 2012 that speaks hixie-76.

Its script has the interface of 2009 all the same: ``URL``, three states, no ``wasClean``. It closes
by ending the connection, without ``FF 00``, and passes over the one it gets: such a page learns of
our close only when the connection ends. Text that is not UTF-8 reaches it as an empty string.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
from twisted.internet.threads import deferToThread
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher

from peers.peer import onReactor
from peers.phantomjs import Browse
from peers.recorder import serving
from peers.reverse_proxies import running
from support.daemon import free_port, program
from txhixie import AbruptClose, Limits, UnsupportedByDialect

MESSAGES = [
    "hello",
    "gr\u00fc\u00dfe, \u20ac, \U0001f600",
    "",
    "a\0b",
    "x" * 65536,
    "\u20ac" * 65536,
]


@contextmanager
def complaints() -> Iterator[list[LogEvent]]:
    """The log events of the block that are warnings or worse."""
    noted: list[LogEvent] = []

    def note(event: LogEvent) -> None:
        if event["log_level"] >= LogLevel.warn:
            noted.append(event)

    observer = cast("ILogObserver", note)
    globalLogPublisher.addObserver(observer)
    try:
        yield noted
    finally:
        globalLogPublisher.removeObserver(observer)


def test_the_page_of_2009_connects_exchanges_and_closes(daemon: int, browse: Browse) -> None:
    messages = ["hello", "gr\u00fc\u00dfe, \u20ac", "", "<b>again</b>"]
    page = f"http://127.0.0.1:{daemon}/2009"
    seen = browse("console2009.js", page=page, messages=messages)
    assert seen["complaints"] == []
    assert seen["states"] == ["closed", "open", "closed"]
    assert seen["url"] == f"ws://127.0.0.1:{daemon}/"
    said = [[way, text] for text in messages for way in ("out", "in")]
    assert seen["log"] == [
        ["event", "open"],
        *said,
    ]  # the log of the page before the connection ended
    assert seen["counts"] == "4 sent, 4 received"
    assert seen["dialect"].startswith("probably hixie-75 or hixie-76")


def test_a_page_s_script_gets_every_text_back_from_the_daemon(daemon: int, browse: Browse) -> None:
    seen = browse(
        "websocket.js",
        origin=f"http://127.0.0.1:{daemon}",
        url=f"ws://127.0.0.1:{daemon}/",
        subprotocol=None,
        messages=MESSAGES,
        close="page",
    )
    assert seen["messages"] == MESSAGES
    assert seen["events"] == ["open", *["message"] * len(MESSAGES), "close"]
    assert "outOfPatience" not in seen


def test_a_page_of_another_origin_sees_nothing_but_a_close(daemon: int, browse: Browse) -> None:
    seen = browse(
        "websocket.js",
        origin="http://example.com",
        url=f"ws://127.0.0.1:{daemon}/",
        subprotocol=None,
        messages=["hello"],
        close="page",
    )
    assert seen["events"] == ["close"]


@onReactor
async def test_a_subprotocol_is_agreed_with_a_browser(browse: Browse) -> None:
    async with serving(subprotocols=("sample",)) as server:
        browsing = deferToThread(
            browse,
            "websocket.js",
            origin=f"http://127.0.0.1:{server.port}",
            url=server.url("/a/b?x=1"),
            subprotocol="sample",
            messages=[],
            close="page",
        )
        application = await server.applications.opened()
        seen = await browsing
        agreement = application.transport.agreement
        assert agreement is not None
        assert agreement.subprotocol == "sample"
        assert application.transport.offer.dialect == "hixie-76"
        assert application.transport.offer.target == "/a/b?x=1"
        assert seen["events"] == ["open", "close"]


class Bytes(socketserver.BaseRequestHandler):
    """A backend that sends every byte back."""

    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


@contextmanager
def lists(directory: Path) -> Iterator[int]:
    """Run a daemon with a service of each kind; its port."""
    port = free_port()
    options = ["--port", f"tcp:{port}:interface=127.0.0.1", "--serve", "/echo=echo"]
    options += ["--serve", f"/ws=ws://127.0.0.1:{port}/echo"]
    options += ["--serve", f"/ws76=ws://127.0.0.1:{port}/echo dialect=hixie-76"]
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Bytes) as backend:
        backend.daemon_threads = True
        threading.Thread(target=backend.serve_forever, daemon=True).start()
        address = f"tcp:127.0.0.1:{backend.server_address[1]}"
        options += ["--serve", f"/tcp={address}", "--serve", f"/mqtt={address} subprotocols=mqtt"]
        command = [program("twistd"), "-n", "--pidfile=", "hixie", *options]
        try:
            with running(command, [port], directory):
                yield port
        finally:
            backend.shutdown()


@pytest.mark.parametrize(
    ("path", "offered"),
    [
        ("/echo", ["v10.stomp", "v11.stomp"]),
        ("/ws", ["v10.stomp", "v11.stomp"]),
        ("/ws", ["x"]),
        ("/ws76", ["v10.stomp", "v11.stomp", "v12.stomp"]),
        ("/tcp", ["binary", "base64"]),
        ("/tcp", ["base64", "other"]),
        ("/mqtt", ["mqttv3.1", "mqtt"]),
    ],
)
def test_a_list_of_subprotocols_is_agreed_with_every_service(
    path: str, offered: list[str], browse: Browse, tmp_path: Path
) -> None:
    """The browser compares the answer with the whole list, and disconnects if they differ."""
    with lists(tmp_path) as port:
        seen = browse(
            "websocket.js",
            origin=f"http://127.0.0.1:{port}",
            url=f"ws://127.0.0.1:{port}{path}",
            subprotocol=offered,
            messages=["aGVsbG8="],
            close="page",
        )
    assert seen["events"] == ["open", "message", "close"]
    assert seen["messages"] == ["aGVsbG8="]


@onReactor
async def test_a_list_of_subprotocols_is_agreed_with_an_application(browse: Browse) -> None:
    """The application gets the one member that was agreed on."""
    async with serving(subprotocols=("v11.stomp",)) as server:
        browsing = deferToThread(
            browse,
            "websocket.js",
            origin=f"http://127.0.0.1:{server.port}",
            url=server.url(),
            subprotocol=["v10.stomp", "v11.stomp"],
            messages=[],
            close="page",
        )
        application = await server.applications.opened()
        seen = await browsing
        agreement = application.transport.agreement
        assert agreement is not None
        assert agreement.subprotocol == "v11.stomp"
        assert seen["events"] == ["open", "close"]


@onReactor
async def test_a_page_that_closes_ends_the_connection_without_a_close_frame(browse: Browse) -> None:
    async with serving() as server:
        browsing = deferToThread(
            browse,
            "websocket.js",
            origin=f"http://127.0.0.1:{server.port}",
            url=server.url(),
            subprotocol=None,
            messages=[],
            close="page",
        )
        with complaints() as complained:
            application = await server.applications.opened()
            assert (await application.ends()).check(AbruptClose)
        seen = await browsing
        assert seen["states"] == [0, 1, 2, 2]
        assert complained == []


@onReactor
async def test_a_page_gets_our_close_after_the_close_timeout(browse: Browse) -> None:
    async with serving(limits=Limits(close_timeout=0.3)) as server:
        browsing = deferToThread(
            browse,
            "websocket.js",
            origin=f"http://127.0.0.1:{server.port}",
            url=server.url(),
            subprotocol=None,
            messages=["hello"],
            close="server",
        )
        application = await server.applications.opened()
        assert await application.hears("text") == "hello"
        application.transport.sendTextMessage("the last word")
        application.transport.loseConnection()
        seen = await browsing
        assert seen["messages"] == ["the last word"]
        assert seen["events"] == ["open", "message", "close"]
        assert (await application.ends()).check(AbruptClose)


@onReactor
async def test_a_browser_is_never_sent_binary(browse: Browse) -> None:
    """The browser would drop the message and report an error to its page; so the sender gets an
    error."""
    async with serving() as server:
        browsing = deferToThread(
            browse,
            "websocket.js",
            origin=f"http://127.0.0.1:{server.port}",
            url=server.url(),
            subprotocol=None,
            messages=["hello"],
            close="server",
        )
        application = await server.applications.opened()
        assert await application.hears("text") == "hello"
        with pytest.raises(UnsupportedByDialect):
            application.transport.sendBytesMessage(b"\1")
        application.transport.abortConnection()
        seen = await browsing
        assert seen["events"] == ["open", "close"]
