"""hybi-07, version 8 and RFC 6455 with other libraries, as clients and as servers.

`KINDS` is what each library shares with us, `COMPRESSIONS` what both sides may want of
permessage-deflate. What a library does in its own way stands in `KINDS` as well, with a word on it.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import pytest
from twisted.python.failure import Failure

from peers.peer import Peer, Server, hexed, onReactor
from peers.recorder import Recorder, connected, serving
from peers.recording_extension import RecordingExtension
from txhixie import AbruptClose, CleanClose, HandshakeRefused, Refusal, broadcast
from txhixie.sansio.extensions.deflate_frame import DeflateFrame
from txhixie.sansio.extensions.extension import Extension
from txhixie.sansio.extensions.permessage_deflate import PermessageDeflate
from txhixie.sansio.http.parameters import Parameters

Call: TypeAlias = Callable[[str], Awaitable[Peer]]

VERSIONS = {"hybi-07": "7", "hybi-08": "8", "rfc6455": "13"}
SUBPROTOCOL = "sample"
BODY = "not for you\n"
UNSEEN = "?"

ALL_DEFLATES = frozenset({"default", "fresh", "narrow"})


@dataclass(frozen=True)
class Kind:
    """
    One library.

    :ivar client: the dialects its client speaks.
    :ivar server: those its server does.
    :ivar client_deflates: how its client can be told to compress, in the words of peer_commands.py.
    :ivar server_deflates: how its server can.
    :ivar always_deflates: it cannot be told not to.
    :ivar client_fails: with these of `COMPRESSIONS` its client refuses our answer.
    :ivar spoils: with these it changes bytes of what cannot be compressed.
    :ivar subprotocols: it agrees on one.
    :ivar sends_pieces: it can be told to send a message in fragments.
    :ivar hears_pongs: its application does.
    :ivar hears_close: its application hears the code and the reason of a close.
    :ivar hears_bodies: its client shows what a refusal says besides the status.
    :ivar tells_bodies: its server's refusals can say something.
    """

    name: str
    client: Sequence[str] = ("rfc6455",)
    server: Sequence[str] = ("rfc6455",)
    client_deflates: frozenset[str] = ALL_DEFLATES
    server_deflates: frozenset[str] = ALL_DEFLATES
    always_deflates: bool = False
    client_fails: frozenset[str] = frozenset()
    spoils: frozenset[str] = frozenset()
    subprotocols: bool = True
    origin: bool = True
    sends_pieces: bool = True
    hears_pongs: bool = True
    hears_close: bool = True
    hears_bodies: bool = True
    tells_bodies: bool = True


BOTH = ("hybi-08", "rfc6455")

KINDS = (
    Kind("websockets"),
    Kind("wsproto"),
    Kind(
        "aiohttp",
        client_deflates=frozenset({"default", "narrow"}),
        server_deflates=frozenset({"default"}),
        sends_pieces=False,
        hears_bodies=False,
    ),
    Kind("autobahn", client=BOTH, server=BOTH, hears_bodies=False, tells_bodies=False),
    Kind(
        "twisted",
        client_deflates=frozenset(),
        server_deflates=frozenset(),
        subprotocols=False,
        origin=False,
        sends_pieces=False,
        hears_close=False,
    ),
    Kind("ws", client=BOTH, server=BOTH),
    Kind(
        "netty",
        client=("hybi-07", *BOTH),
        server=("hybi-07", *BOTH),
        # It offers client_max_window_bits, and takes no answer with anything but that, although
        # RFC 7692 lets a server say the other three unasked. Told to have no takeover it asks for
        # the client's and then insists on the server's too; told to be narrow it asks for
        # server_no_context_takeover besides, and refuses an answer that grants both.
        client_fails=frozenset(
            {"we want none", "they want none", "nobody wants any", "they are narrow"}
        ),
        # JZlib 1.1.3, which it takes where its own window is small: three bytes of the million.
        spoils=frozenset({"we are narrow"}),
    ),
    Kind(
        "eventlet",
        client=(),
        server=BOTH,
        server_deflates=frozenset({"default"}),
        always_deflates=True,
        hears_pongs=False,
        hears_close=False,
    ),
)


class Row(NamedTuple):
    """A library as one side of one dialect; `side` is the library's."""

    kind: Kind
    side: str
    dialect: str

    @property
    def deflates(self) -> frozenset[str]:
        if self.side == "client":
            return self.kind.client_deflates
        return self.kind.server_deflates

    def __str__(self) -> str:
        return f"{self.kind.name}-{self.side}-{self.dialect}"


ROWS = [
    Row(kind, side, dialect)
    for kind in KINDS
    for side, dialects in (("client", kind.client), ("server", kind.server))
    for dialect in dialects
]

TAKEOVER = PermessageDeflate(server_takeover=True, client_takeover=True)

COMPRESSIONS: dict[str, tuple[str, PermessageDeflate | None]] = {
    "nobody compresses": ("plain", None),
    "only they would": ("default", None),
    "only we would": ("plain", PermessageDeflate()),
    "both by default": ("default", PermessageDeflate(client_takeover=True)),
    "we want none": ("default", PermessageDeflate()),
    "takeover": ("default", TAKEOVER),
    "they want none": ("fresh", TAKEOVER),
    "nobody wants any": ("fresh", PermessageDeflate()),
    "they are narrow": ("narrow", TAKEOVER),
    "we are narrow": (
        "default",
        PermessageDeflate(True, True, server_bits=10, client_bits=10),
    ),
}


def can(row: Row, wanted: str) -> bool:
    deflate, _ = COMPRESSIONS[wanted]
    return deflate in row.deflates or (deflate == "plain" and not row.kind.always_deflates)


def fails(row: Row, wanted: str) -> bool:
    return row.side == "client" and wanted in row.kind.client_fails


def spoils(row: Row, wanted: str) -> bool:
    return wanted in row.kind.spoils


def pairs(able: Callable[[Row, str], bool]) -> pytest.MarkDecorator:
    """Rows of `ROWS` and keys of `COMPRESSIONS`."""
    able_pairs = [(row, wanted) for row in ROWS for wanted in COMPRESSIONS if able(row, wanted)]
    ids = [f"{row}-{wanted}" for row, wanted in able_pairs]
    return pytest.mark.parametrize(("row", "wanted"), able_pairs, ids=ids)


def rows(able: Callable[[Row], bool] = lambda row: True) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", [row for row in ROWS if able(row)], ids=str)


@asynccontextmanager
async def talking(
    call: Call,
    row: Row,
    wanted: str = "nobody compresses",
    *,
    extensions: Sequence[Extension] = (),
    deflate: str | None = None,
    subprotocols: tuple[str, ...] = (),
    origin: str | None = None,
) -> AsyncIterator[tuple[Peer, Recorder]]:
    """The library and our application, in a conversation with each other."""
    peer = await call(row.kind.name)
    if deflate is None:
        deflate = COMPRESSIONS[wanted][0]
    if row.side == "client":
        async with serving(subprotocols=subprotocols, extensions=extensions) as server:
            page = origin and origin.format(port=server.port)
            ask(peer, server.url(), row, deflate, subprotocols, page)
            heard = await peer.hears("open")
            application = await server.applications.opened()
            yield await checked(peer, row, heard, application, subprotocols), application
    else:
        theirs = await asked(peer, deflate)
        application = await connected(
            theirs, dialect=row.dialect, subprotocols=subprotocols, extensions=extensions
        )
        try:
            heard = await peer.hears("open")
            yield await checked(peer, row, heard, application, subprotocols), application
        finally:
            application.transport.abortConnection()


def ask(
    peer: Peer,
    url: str,
    row: Row,
    deflate: str = "plain",
    subprotocols: Sequence[str] = (),
    origin: str | None = None,
) -> None:
    names = ",".join(subprotocols) or "-"
    peer.tell("connect", url, VERSIONS[row.dialect], deflate, names, origin or "-")


async def asked(peer: Peer, deflate: str = "plain") -> Server:
    peer.tell("serve", deflate)
    (port,) = await peer.hears("listening")
    return Server(peer, int(port))


async def checked(
    peer: Peer, row: Row, heard: list[str], application: Recorder, subprotocols: Sequence[str]
) -> Peer:
    agreed = SUBPROTOCOL if SUBPROTOCOL in subprotocols else None
    assert heard == [agreed or "-"]
    assert application.transport.offer.dialect == row.dialect
    agreement = application.transport.agreement
    assert agreement is not None
    assert agreement.subprotocol == agreed
    return peer


# Not quite: what cannot be compressed is up to a percent longer when it was, by a library with
# little memory for it, and our limit of 1 MiB is one for frames too.
MEBIBYTE = 1_000_000
WORDS = "the quick brown fox jumps over the lazy dog "
TEXTS = (
    "",
    "hello",
    "gr\u00fc\u00dfe, \u20ac, \U0001f600",
    "a\0b",
    "x" * 125,
    "x" * 126,
    "\u20ac" * 21845,  # 65535 bytes
    "\u20ac" * 21845 + "x",
    (WORDS * (MEBIBYTE // len(WORDS) + 1))[:MEBIBYTE],
)
BINARIES = (
    b"",
    b"\0",
    bytes(range(256)) * 256,
    random.Random(1).randbytes(MEBIBYTE),
)


@pairs(lambda row, wanted: can(row, wanted) and not fails(row, wanted))
@onReactor
async def test_every_message_is_echoed(call: Call, row: Row, wanted: str) -> None:
    """Messages are compressed if both sides want that, and only then."""
    deflate, ours = COMPRESSIONS[wanted]
    noting = [] if ours is None else [RecordingExtension(ours)]
    async with talking(call, row, wanted, extensions=noting) as (_, application):
        for text in TEXTS:
            await application.exchanges(text)
        for data in BINARIES[:-1] if spoils(row, wanted) else BINARIES:
            application.transport.sendBytesMessage(data)
            assert await application.hears("binary") == data
        if noting:
            compressed = deflate != "plain" and not declines(row, noting[0])
            assert bool(noting[0].sent) == compressed
            assert bool(noting[0].received) == compressed


def declines(row: Row, noting: RecordingExtension) -> bool:
    """Whether this server takes no offer with server_no_context_takeover."""
    names = {name for name, _ in noting.offers()}
    asks = "server_no_context_takeover" in names
    return row.side == "server" and row.kind.name == "netty" and asks and not noting.sent


# Both sides compress.
TAKEOVERS = tuple(
    wanted
    for wanted, (deflate, ours) in COMPRESSIONS.items()
    if deflate != "plain" and ours is not None
)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"


@pairs(
    lambda row, wanted: (
        can(row, wanted) and not fails(row, wanted) and wanted in (*TAKEOVERS, "nobody compresses")
    )
)
@onReactor
async def test_broadcasts_and_own_messages_alternate(call: Call, row: Row, wanted: str) -> None:
    """A message that is compressed for many is not in the window of the connection's compressor."""
    _, ours = COMPRESSIONS[wanted]
    extensions = [] if ours is None else [ours]
    async with talking(call, row, wanted, extensions=extensions) as (_, application):
        for number in range(5):
            own, told = f"own {number} {WORDS * 20}", f"all {number} {WORDS * 20}"
            await application.exchanges(own)
            for compress in (True, False):
                delivery = broadcast([application.transport], told, compress=compress)
                assert delivery.sent == 1
                assert await application.hears("text") == told
            await application.exchanges(own)


@pairs(lambda row, wanted: can(row, wanted) and not fails(row, wanted) and wanted in TAKEOVERS)
@onReactor
async def test_a_message_refers_to_the_one_before_if_that_is_agreed(
    call: Call, row: Row, wanted: str
) -> None:
    """
    A text that does not compress, twice: the second is nothing but a reference, where there is
    context takeover and the window reaches back that far.
    """
    deflate, ours = COMPRESSIONS[wanted]
    assert ours is not None
    noting = RecordingExtension(ours)
    text = "".join(random.Random(2).choices(LETTERS, k=2000))
    async with talking(call, row, wanted, extensions=[noting]) as (_, application):
        await application.exchanges(text)
        await application.exchanges(text)
        agreement = application.transport.agreement
        assert agreement is not None
        if not agreement.extensions:
            assert declines(row, noting)
            return
        ((_, parameters),) = agreement.extensions
        side = "client" if row.side == "server" else "server"
        assert shrinks(noting.sent) == (remembers(ours, side) and remembers(parameters, side))
        theirs = remembers(parameters, row.side)
        if deflate == "default":
            assert shrinks(noting.received) == theirs
        else:  # it may do less than was agreed
            assert shrinks(noting.received) <= theirs


def shrinks(sizes: list[int]) -> bool:
    first, second = sizes
    assert first > 1400
    return second < 100


def remembers(agreed: PermessageDeflate | Parameters, side: str) -> bool:
    """Whether this side, with these settings, refers back to a message of 2000 bytes."""
    if isinstance(agreed, PermessageDeflate):
        takeover: bool = getattr(agreed, f"{side}_takeover")
        bits: int = getattr(agreed, f"{side}_bits")
    else:
        said = dict(agreed)
        takeover = f"{side}_no_context_takeover" not in said
        bits = int(said.get(f"{side}_max_window_bits") or 15)
    return takeover and bits > 10


@pairs(lambda row, wanted: can(row, wanted) and fails(row, wanted))
@onReactor
async def test_a_client_that_rejects_our_deflate_parameters_disconnects(
    call: Call, row: Row, wanted: str
) -> None:
    deflate, ours = COMPRESSIONS[wanted]
    assert ours is not None
    peer = await call(row.kind.name)
    async with serving(extensions=[ours]) as server:
        ask(peer, server.url(), row, deflate)
        await peer.hears("failed")
        application = await server.applications.opened()
        assert (await application.ends()).check(AbruptClose)


@rows(lambda row: row.kind.name == "netty")
@onReactor
async def test_x_webkit_deflate_frame_compresses_each_frame_separately(
    call: Call, row: Row
) -> None:
    """No other library here has this extension."""
    noting = RecordingExtension(DeflateFrame(takeover=True))
    talk = talking(call, row, extensions=[noting], deflate="frame")
    async with talk as (_, application):
        for text in TEXTS:
            await application.exchanges(text)
        assert noting.sent
        assert noting.received


@rows(lambda row: row.kind.sends_pieces)
@onReactor
async def test_fragments_are_one_message(call: Call, row: Row) -> None:
    parts = ("gr\u00fc", "", "\u00dfe, ", "\u20ac" * 30000, "\U0001f600")
    async with talking(call, row) as (peer, application):
        peer.tell("pieces", *(hexed(part) for part in parts))
        assert await application.hears("text") == "".join(parts)


# Eventlet marks a message as compressed, fragment by fragment, and ends none of them rightly.
WHOLE = ("websockets", "wsproto", "autobahn", "ws", "netty")


@rows(lambda row: row.kind.sends_pieces and bool(row.deflates) and row.kind.name in WHOLE)
@onReactor
async def test_fragments_are_compressed_as_one(call: Call, row: Row) -> None:
    parts = ("gr\u00fc", "\u00dfe, ", "\u20ac" * 30000, "\U0001f600")
    noting = RecordingExtension(TAKEOVER)
    async with talking(call, row, "takeover", extensions=[noting]) as (peer, application):
        peer.tell("pieces", *(hexed(part) for part in parts))
        assert await application.hears("text") == "".join(parts)
        assert noting.received


@pytest.mark.parametrize("payload", [b"", b"a", bytes(range(125))], ids=len)
@rows()
@onReactor
async def test_our_ping_is_answered(call: Call, row: Row, payload: bytes) -> None:
    async with talking(call, row) as (_, application):
        application.transport.ping(payload)
        assert await application.hears("pong") == payload


@rows(lambda row: row.kind.hears_pongs)
@onReactor
async def test_the_library_s_ping_is_answered(call: Call, row: Row) -> None:
    async with talking(call, row) as (peer, _):
        for payload in (b"a", bytes(range(125))):
            peer.tell("ping", hexed(payload))
            assert await peer.hears("pong") == [hexed(payload)]


@rows()
@onReactor
async def test_our_close_is_answered_and_clean(call: Call, row: Row) -> None:
    async with talking(call, row) as (peer, application):
        application.transport.loseConnection(4001, "gr\u00fc\u00dfe")
        close = ["4001", hexed("gr\u00fc\u00dfe")]
        assert await peer.hears("close") == (close if row.kind.hears_close else [UNSEEN, UNSEEN])
        assert_clean(await application.ends(), 4001, "gr\u00fc\u00dfe")


@rows()
@onReactor
async def test_the_library_s_close_is_answered_and_clean(call: Call, row: Row) -> None:
    async with talking(call, row) as (peer, application):
        peer.tell("close", "4002", hexed("au revoir"))
        assert_clean(await application.ends(), 4002, "au revoir")
        await peer.hears("close")


def assert_clean(failure: Failure, code: int, reason: str) -> None:
    close = failure.value
    assert isinstance(close, CleanClose), close
    assert (close.code, close.reason) == (code, reason)


@rows()
@onReactor
async def test_a_lost_connection_is_no_clean_close(call: Call, row: Row) -> None:
    async with talking(call, row) as (peer, application):
        await peer.forget("vanish")
        failure = await application.ends()
        assert isinstance(failure.value, AbruptClose)
        assert failure.value.code == 1006


@rows(lambda row: row.kind.subprotocols)
@onReactor
async def test_a_subprotocol_is_agreed(call: Call, row: Row) -> None:
    names = ("other", SUBPROTOCOL)
    if row.side == "client":
        peer = await call(row.kind.name)
        async with serving(subprotocols=(SUBPROTOCOL,)) as server:
            ask(peer, server.url(), row, subprotocols=names)
            assert await peer.hears("open") == [SUBPROTOCOL]
            application = await server.applications.opened()
            assert application.transport.offer.subprotocols == names
    else:
        async with talking(call, row, subprotocols=names):
            pass  # where it is asked


@rows(lambda row: row.side == "client")
@onReactor
async def test_the_library_s_client_gets_our_refusal(call: Call, row: Row) -> None:
    peer = await call(row.kind.name)
    async with serving(refusal=Refusal(403, BODY)) as server:
        ask(peer, server.url(), row)
        body = hexed(BODY) if row.kind.hears_bodies else UNSEEN
        assert await peer.hears("refused") == ["403", body]


@rows(lambda row: row.side == "client" and row.kind.origin)
@onReactor
async def test_a_client_of_a_foreign_page_is_refused(call: Call, row: Row) -> None:
    """The origin is in the field that this version of the library uses."""
    peer = await call(row.kind.name)
    async with serving() as server:
        ask(peer, server.url(), row, origin="http://example.com")
        if row.kind.name == "netty" and row.dialect != "rfc6455":
            # In versions 7 and 8 Netty makes a Sec-WebSocket-Origin of the URL, which is the origin
            # there; the Origin field is one more that its user has asked for.
            await peer.hears("open")
            application = await server.applications.opened()
            assert application.transport.offer.origin == f"http://127.0.0.1:{server.port}"
            return
        status, _ = await peer.hears("refused")
        assert status == "403"


@rows(lambda row: row.side == "client" and row.kind.origin)
@onReactor
async def test_a_client_of_a_page_of_the_same_host_is_admitted(call: Call, row: Row) -> None:
    peer = await call(row.kind.name)
    async with serving() as server:
        page = f"http://127.0.0.1:{server.port}"
        ask(peer, server.url(), row, origin=page)
        await peer.hears("open")
        application = await server.applications.opened()
        assert application.transport.offer.origin == page


@rows(lambda row: row.side == "server")
@onReactor
async def test_our_client_gets_the_library_s_refusal(call: Call, row: Row) -> None:
    server = await asked(await call(row.kind.name))
    with pytest.raises(HandshakeRefused) as raised:
        await connected(server, "/refused", dialect=row.dialect)
    assert raised.value.status == 403
    assert raised.value.body == (BODY.encode() if row.kind.tells_bodies else b"")
