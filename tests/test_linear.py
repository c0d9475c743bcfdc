"""
Every parser takes time in proportion to its input, also for input made by an attacker.

For each parser there are inputs of several shapes: one character repeated, elements that begin and
never end, elements that nearly match. Each shape is parsed in one size and in eight times that
size. A linear parser takes eight times as long, a quadratic parser 64 times.

The test measures the processor time of this thread, the least of several runs, which leaves out
other programs. After a run that was disturbed, the test measures again; the test fails only if all
runs are too slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import thread_time
from typing import Any, TypeAlias

import pytest
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.testing import MemoryReactorClock

from txhixie import Limits
from txhixie.byte_streams.coding import CODINGS
from txhixie.cli.status import line_of
from txhixie.daemon.options import OPTIONS
from txhixie.daemon.route_option import read_description
from txhixie.daemon.routes import Route, Routes, segments_of
from txhixie.daemon.setting import as_written
from txhixie.daemon.toml_file import read_configuration
from txhixie.dialing.pem import trustRootFromPath
from txhixie.dialing.proxy import is_exempt, parse_proxy
from txhixie.display import expectation, shown, shown_url
from txhixie.errors import HandshakeRefused, HixieError
from txhixie.extensions import EXTENSIONS
from txhixie.gateway.headers import read_names
from txhixie.sansio.assembly import Assembly
from txhixie.sansio.dialects import DIALECTS, Dialect, named, recognise
from txhixie.sansio.extensions.deflate import Inflater
from txhixie.sansio.handshake.fields import whole_subprotocol
from txhixie.sansio.handshake.hixie76 import key_number
from txhixie.sansio.handshake.offer import Agreement, Offer
from txhixie.sansio.http.authentication import Authentication, read_challenges
from txhixie.sansio.http.body import BodyReader
from txhixie.sansio.http.chunked import ChunkedReader
from txhixie.sansio.http.forwarded import read_forwarded
from txhixie.sansio.http.head import (
    Fields,
    Head,
    HeadReader,
    RequestReader,
    read_asked,
    read_authority,
    read_request,
)
from txhixie.sansio.http.parameters import read_list
from txhixie.sansio.http.proxy_header import ProxyHeaderReader
from txhixie.sansio.http.redaction import masked_lines, masked_subprotocol, masked_url
from txhixie.sansio.http.trusted import TrustedNetworks, read_address
from txhixie.sansio.http.tunnel_answer import AnswerReader, bare_host
from txhixie.sansio.http.url import Credentials, parse_url, without_credentials
from txhixie.sansio.opening import ClientOpening, ServerOpening
from txhixie.sansio.wire.frame import Frame, Framing, Opcode, Side
from txhixie.server.access import Policy, same_host
from txhixie.testing.trace import Trace

Work: TypeAlias = Callable[[], object]

SIZE = 32 * 1024  # bytes: twice what a head may have
TIMES = 8  # the other size is so many times smaller
TOO_MUCH = 24.0  # times as long: between 8, which is linear, and 64, which is quadratic
AT_ONCE = 0.01  # seconds: every quadratic parser takes longer for SIZE
ROUNDS = 5


@dataclass(frozen=True)
class Case:
    """
    One parser and one shape.

    :ivar make: takes a size, answers what parses an input of about that size.
    """

    name: str
    make: Callable[[int], Work]

    def seconds(self, work: Work) -> float:
        start = thread_time()
        with suppress(HixieError, ValueError):
            work()
        return thread_time() - start


def is_linear(case: Case, size: int = SIZE) -> bool:
    """Whether the parser takes less than quadratic time, or hardly any."""
    short, long = case.make(size // TIMES), case.make(size)
    least = case.seconds(short)
    most = case.seconds(long)
    for _ in range(ROUNDS):
        if most < max(AT_ONCE, TOO_MUCH * least):
            return True
        # The least of each: a disturbance only makes a run longer.
        least = min(least, case.seconds(short))
        most = min(most, case.seconds(long))
    return False


# The shapes.

PIECES = {
    "commas": ",",
    "blanks": " ",
    "tabs and commas": "\t,",
    "quotes": '"',
    "backslashes": "\\",
    "quoted backslashes": '"\\',
    "letters": "a",
    "digits": "0",
    "colons": ":",
    "dots": ".",
    "slashes": "/",
    "dots and slashes": "../",
    "semicolons": ";",
    "equals signs": "=",
    "members": "a, ",
    "parameters": "a;b=c,",
    "quoted parameters": 'a;b="c",',
    "begun parameters": 'a;b="',
    "pairs": "a=b;",
    "begun pairs": 'a="',
    "escapes": "%41",
    "begun escapes": "%",
    "question marks": "?",
    "secrets": "?token=",
    "words of secrets": "token",
    "at signs": "@",
    "brackets": "[",
    "schemes": "a://",
    "percent and line feeds": "%\n",
    "carriage returns": "\r",
    "line ends": "\r\n",
    "not ASCII": "\xff",
}

ENDS = ("", '"', "\n")


def texts(read: Callable[[str], object], begin: str = "") -> Iterator[tuple[str, Any]]:
    """Cases for a reader of text: all shapes, each also with other endings."""
    for name, piece in PIECES.items():
        for end in ENDS:

            def make(size: int, piece: str = piece, end: str = end) -> Work:
                text = begin + piece * (size // len(piece)) + end
                return lambda: read(text)

            yield f"{name}, then {end!r}", make


def fields(*pairs: tuple[str, str]) -> Fields:
    return Fields([(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs])


def read_toml(tmp: Any, text: str) -> None:
    path = tmp / "options.toml"
    path.write_text(f"port = {text!r}\n", encoding="utf-8")
    read_configuration(path)


def routed(path: str) -> object:
    routes: Routes[str] = Routes()
    routes.add(Route(None, "/a/b"), "thing")
    return routes.find("example.com", path)


TRUSTED = TrustedNetworks(["10.0.0.0/8"])
REACTOR: Any = MemoryReactorClock()


def described(parse: Callable[[Any, str], object]) -> Callable[[str], object]:
    """Parse with one of Twisted's parsers, which may raise any error."""

    def read(text: str) -> None:
        with suppress(Exception):
            parse(REACTOR, text)

    return read


def read_kind(name: str) -> Callable[[str], object]:
    (option,) = (option for option in OPTIONS if option.name == name)
    return option.kind.read_text


TEXT_PARSERS: dict[str, tuple[Callable[[str], object], str]] = {
    "authentication challenges": (lambda text: read_challenges([text]), ""),
    "the parameters of a challenge": (lambda text: read_challenges([text]), "Digest a="),
    "an answer to a challenge": (
        lambda text: Authentication(Credentials("a", "b"), bytes).accept([text]),
        'Digest realm="a", nonce="b", qop="auth',
    ),
    "lists with parameters": (lambda text: read_list([text]), ""),
    "a parameter": (lambda text: read_list([text]), "a;b="),
    "hosts": (lambda text: read_authority.__wrapped__(text.encode("latin-1")), ""),
    "hosts with a port": (lambda text: bare_host(text), "a:"),
    "addresses": (read_address, ""),
    "IPv6 addresses": (read_address, "::"),
    "whole subprotocols": (whole_subprotocol, ""),
    "keys of hixie-76": (lambda text: key_number(text.encode("latin-1")), "1 "),
    "URLs": (parse_url, "ws://a/"),
    "hosts of URLs": (parse_url, "ws://"),
    "ports of URLs": (parse_url, "ws://a:"),
    "users of URLs": (parse_url, "ws://a:"),
    "URLs without credentials": (without_credentials, "ws://"),
    "proxies": (parse_proxy, "http://"),
    "proxies with users": (parse_proxy, "http://a:"),
    "exempt hosts": (lambda text: is_exempt("example.com", 80, text), ""),
    "exempt addresses": (lambda text: is_exempt("10.0.0.1", 80, text), "["),
    "Forwarded": (lambda text: read_forwarded(fields(("forwarded", text)), TRUSTED), ""),
    "a Forwarded client": (
        lambda text: read_forwarded(fields(("forwarded", text)), TRUSTED),
        'for="',
    ),
    "X-Forwarded-For": (
        lambda text: read_forwarded(fields(("x-forwarded-for", text)), TRUSTED),
        "",
    ),
    "X-Forwarded-Host": (
        lambda text: read_forwarded(fields(("x-forwarded-host", text)), TRUSTED),
        "",
    ),
    "paths": (segments_of, "/"),
    "routes": (routed, "/a/b/"),
    "origins": (lambda text: same_host(text, "example.com"), "http://"),
    "hosts of origins": (lambda text: same_host("http://example.com", text), ""),
    "policies": (
        lambda text: Policy(["http://a"], ["a"]).refuses(Offer("hixie-75", "/", text, text)),
        "",
    ),
    "names of carried fields": (read_names, ""),
    "options of a route": (read_description, "/=echo "),
    "a route": (read_description, ""),
    "ports of the daemon": (read_kind("port"), ""),
    "origins of the daemon": (read_kind("origins"), "http://"),
    "hosts of the daemon": (read_kind("hosts"), ""),
    "dialects of the daemon": (read_kind("dialects"), ""),
    "networks of the daemon": (read_kind("trust-forwarded"), ""),
    "numbers of the daemon": (read_kind("max-message-size"), ""),
    "settings in the log": (as_written, "ws://"),
    "peers' words in the log": (shown, ""),
    "URLs in the log": (shown_url, "ws://a/"),
    "expectations": (lambda text: expectation(TypeError(text), "a port"), "missing 1 required "),
    "ws: of an endpoint": (described(clientFromString), "ws:localhost:path=/"),
    "the host in ws: of an endpoint": (described(clientFromString), "ws:"),
    "ws: of a listening endpoint": (described(serverFromString), "ws:tcp\\:0:path=/"),
    "what ws: listens on": (described(serverFromString), "ws:tcp\\:"),
    "httpconnect: of an endpoint": (described(clientFromString), "httpconnect:localhost:3128:"),
}


@pytest.mark.parametrize("parser", TEXT_PARSERS)
def test_text_takes_linear_time(parser: str) -> None:
    read, begin = TEXT_PARSERS[parser]
    slow = [name for name, make in texts(read, begin) if not is_linear(Case(name, make))]
    assert slow == []


def test_a_file_of_options_takes_linear_time(tmp_path: Any) -> None:
    shapes = texts(lambda text: read_toml(tmp_path, text))
    slow = [name for name, make in shapes if not is_linear(Case(name, make))]
    assert slow == []


def test_a_file_of_certificates_takes_linear_time(tmp_path: Any) -> None:
    path = tmp_path / "trust.pem"
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    for piece in (begin, begin + "\n", "-----BEGIN ", begin + "\n" + end + "\n", "-"):

        def make(size: int, piece: str = piece) -> Work:
            text = piece * (size // len(piece))

            def work() -> None:
                path.write_text(text, encoding="ascii")
                trustRootFromPath(str(path))

            return work

        assert is_linear(Case(piece, make)), piece


# Heads.

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
HEAD_PIECES = {
    "lines": b"a: b\r\n",
    "shortest lines": b":\r\n",
    "the same name": b"Host: a\r\n",
    "other names": None,
    "one long value": b"a",
    "one long name": b"a",
    "colons": b":",
    "blanks": b" ",
    "folded lines": b"\r\n ",
    "carriage returns": b"\r",
    "line feeds": b"\n",
    "subprotocols": b"Sec-WebSocket-Protocol: a, b\r\n",
    "extensions": b"Sec-WebSocket-Extensions: permessage-deflate; a; a\r\n",
    "cookies": b"Cookie: a=b; c\r\n",
    "upgrades": b"Upgrade: websocket\r\n",
    "tokens": b"Cookie-token: token\r\n",
}


def head_of(name: str, size: int) -> Head:
    piece = HEAD_PIECES[name]
    if piece is None:
        many = b"".join(b"x%d: y\r\n" % number for number in range(size // 12))
    else:
        many = piece * (size // len(piece))
        if name == "one long value":
            many = b"x: " + many + b"\r\n"
        elif name == "one long name":
            many += b": x\r\n"
        elif not many.endswith(b"\r\n"):
            many += b"x\r\n"
    return Head(REQUEST + many + b"\r\n")


def read_offer(head: Head) -> None:
    request = read_request(head)
    recognise(request)
    for dialect in DIALECTS:
        with suppress(HixieError):
            offer = dialect.handshake.read_offer(request, secure=False)
            offer.headers()
            for extension in EXTENSIONS:
                for _, parameters in offer.extensions:
                    extension.accept(parameters)


def read_answers(head: Head) -> None:
    answer = Head(b"HTTP/1.1 101 Yes\r\n" + head[len(b"GET / HTTP/1.1\r\n") :])
    for dialect in DIALECTS:
        offer = Offer(dialect.name, "/", "a", subprotocols=("a",))
        with suppress(HixieError):
            dialect.handshake.read_agreement(offer, dialect.handshake.draw(bytes), answer)


@pytest.mark.parametrize("shape", HEAD_PIECES)
@pytest.mark.parametrize(
    "read",
    [
        read_offer,
        read_answers,
        lambda head: [*masked_lines(head)],
        read_asked,
        lambda head: Trace().passed(Side.CLIENT, head.raw),
        lambda head: head.fields().only(b"host"),
    ],
    ids=["request", "answer", "masked", "asked", "trace", "fields"],
)
def test_a_head_takes_linear_time(read: Callable[[Head], object], shape: str) -> None:
    def make(size: int) -> Work:
        head = head_of(shape, size)
        return lambda: read(head)

    assert is_linear(Case(shape, make))


@pytest.mark.parametrize("piece", [b"token", b"password\n", b"session\r", b"?token=", b"?a-", b";"])
def test_a_head_is_masked_in_linear_time(piece: bytes) -> None:
    """Also a malformed head: a trace shows all bytes of the connection."""

    def make(size: int) -> Work:
        head = b"GET /?" + piece * (size // len(piece)) + b"\n: x\r\n\r\n"
        return lambda: [*masked_lines(head)]

    assert is_linear(Case("masked", make))


@pytest.mark.parametrize(
    "piece",
    ["a=", "&", "?", "#", "://", "@", ";session", ";token=", ";a-", "bearer.", "A0a", "\xff"],
)
def test_a_target_is_masked_in_linear_time(piece: str) -> None:
    def make(size: int) -> Work:
        text = piece * (size // len(piece))
        return lambda: (masked_url(text), masked_url("/?" + text), masked_subprotocol(text))

    assert is_linear(Case("masked", make))


# Parsers of streams: one byte at a time, or all at once.

STREAMED = 128 * 1024


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def head_reader(data: list[bytes]) -> None:
    reader = HeadReader(1 << 30)
    for piece in data:
        reader.read(piece)


def request_reader(data: list[bytes]) -> None:
    reader = RequestReader(1 << 30)
    for piece in data:
        reader.read(piece)


def chunked_reader(data: list[bytes]) -> None:
    reader = ChunkedReader()
    for piece in data:
        reader.read(piece)


def body_reader(data: list[bytes]) -> None:
    reader = BodyReader(403, ((b"transfer-encoding", b"chunked"),), 1 << 30)
    for piece in data:
        reader.read(piece)


def answer_reader(data: list[bytes]) -> None:
    reader = AnswerReader(Limits(head_size=1 << 30, refusal_size=1 << 30))
    for piece in [b"HTTP/1.1 407 Who?\r\nTransfer-Encoding: chunked\r\n", b"\r\n", *data]:
        reader.receive(piece)


def proxy_reader(data: list[bytes]) -> None:
    reader = ProxyHeaderReader()
    for piece in data:
        reader.read(piece)


def client_opening(data: list[bytes]) -> None:
    handshake = named("rfc6455").handshake
    opening = ClientOpening(
        handshake, Offer("rfc6455", "/", "a"), handshake.draw(bytes), Limits(head_size=1 << 30)
    )
    for piece in data:
        opening.receive(piece)


def early_bytes(data: list[bytes]) -> None:
    opening = ServerOpening(DIALECTS, Limits(early_size=1 << 30), secure=False)
    opening.receive(REQUEST + b"\r\n")
    for piece in data:
        opening.keep(piece)
    opening.agree(Agreement())


STREAMS: dict[str, tuple[Callable[[list[bytes]], None], tuple[bytes, ...], bytes]] = {
    "heads": (head_reader, (b"a", b"a: b\r\n", b"\r\n", b"\r", b"\r\n\r"), b"GET / HTTP/1.1\r\n"),
    "empty lines": (request_reader, (b"\r\n", b"\n", b"\r\n\r"), b""),
    "requests": (request_reader, (b"a: b\r\n", b"a"), b"\r\nGET / HTTP/1.1\r\n"),
    "chunks": (chunked_reader, (b"1\r\na\r\n", b"1;a\r\na\r\n", b"a"), b"ffffff\r\n"),
    "chunks of one byte": (chunked_reader, (b"1\r\na\r\n", b"01;a=b\r\na\r\n"), b""),
    "trailers": (chunked_reader, (b"a: b\r\n", b"a\r\n"), b"0\r\n"),
    "refusals": (body_reader, (b"1\r\na\r\n",), b""),
    "answers of a proxy": (answer_reader, (b"1\r\na\r\n", b"a"), b"ffffff\r\n"),
    "interim answers": (client_opening, (b"HTTP/1.1 100 Go on\r\n\r\n",), b""),
    "early bytes": (early_bytes, (b"\x81\x80abcd",), b""),
    "a PROXY header": (
        proxy_reader,
        (b"a",),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff\x7f\0\0\1\x7f\0\0\1\0\1\0\1",
    ),
}


@pytest.mark.parametrize("at_once", [1, 7, 1 << 30], ids=["bytes", "sevens", "whole"])
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_takes_linear_time(name: str, at_once: int) -> None:
    read, shapes, begin = STREAMS[name]
    for shape in shapes:

        def make(size: int, shape: bytes = shape) -> Work:
            data = pieces(begin + shape * (size // len(shape)), at_once)
            return lambda: read(data)

        assert is_linear(Case(name, make), STREAMED), shape


# Frames.

MASK = b"\0\0\0\0"
SENTINEL_SHAPES = {
    "empty texts": b"\x00\xff",
    "short texts": b"\x00hello\xff",
    "one text": b"a",
    "binary": b"\x80\x01a",
    "empty binary": b"\x80\x00",
    "padded lengths": b"\x80\x80\x80\x80\x80\x01a",
    "unknown": b"\x01\xff",
    "unknown with a length": b"\x81\x01a",
    "not UTF-8": b"\x00\xed\xa0\x80\xff",
}
MODERN_SHAPES = {
    "empty texts": b"\x81\x80" + MASK,
    "short texts": b"\x81\x85" + MASK + b"hello",
    "one text": b"a",
    "pings": b"\x89\x80" + MASK,
    "empty fragments": b"\x00\x80" + MASK,
    "fragments": b"\x00\x81" + MASK + b"a",
    "two kinds": b"\x81\x80" + MASK + b"\x82\x81" + MASK + b"a",
    "compressed": b"\xc1\x81" + MASK + b"\0",
}


def begin_of(shape: str, dialect: Dialect) -> bytes:
    """The bytes before the shape, where the shape is no frame by itself."""
    if shape == "one text":
        return b"\x00" if not dialect.has_codes else b"\x81\xff" + (1 << 20).to_bytes(8) + MASK
    return b""


@pytest.mark.parametrize("at_once", [1, 7, 1 << 30], ids=["bytes", "sevens", "whole"])
@pytest.mark.parametrize("side", [Side.CLIENT, Side.SERVER])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_frames_take_linear_time(dialect: Dialect, side: str, at_once: int) -> None:
    limits = Limits(message_size=1 << 30)
    shapes = MODERN_SHAPES if dialect.has_codes else SENTINEL_SHAPES
    for shape, piece in shapes.items():

        def make(size: int, shape: str = shape, piece: bytes = piece) -> Work:
            data = pieces(begin_of(shape, dialect) + piece * (size // len(piece)), at_once)

            def work() -> None:
                framing: Framing = dialect.framing(side, limits, True, 0x40, bytes)
                for each in data:
                    framing.feed(each)
                    for _ in framing.frames():
                        pass

            return work

        assert is_linear(Case(shape, make), STREAMED), shape


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_frames_that_are_delivered_one_by_one_take_linear_time(dialect: Dialect) -> None:
    """An application that pauses after each message gets each message from a new iterator."""
    limits = Limits(message_size=1 << 30)
    shapes = MODERN_SHAPES if dialect.has_codes else SENTINEL_SHAPES
    for shape, piece in shapes.items():

        def make(size: int, piece: bytes = piece) -> Work:
            data = piece * (size // len(piece))

            def work() -> None:
                framing: Framing = dialect.framing(Side.SERVER, limits, True, 0x40, bytes)
                framing.feed(data)
                taken: Frame | None = (0, b"", True, 0, True)
                while taken is not None:
                    taken = next(framing.frames(), None)

            return work

        assert is_linear(Case(shape, make), STREAMED), shape


TEXT_SHAPES = (b"a", b"\xc3\xbc", b"\xf0\x9f\x98\x80", b"\xf0", b"\xed\xa0", b"\x80", b"\xff")


@pytest.mark.parametrize("replaces", [False, True], ids=["strict", "replaced"])
@pytest.mark.parametrize("at_once", [1, 3, 1 << 30], ids=["bytes", "threes", "whole"])
def test_text_in_pieces_takes_linear_time(at_once: int, replaces: bool) -> None:
    limits = Limits(message_size=1 << 30, fragments=1 << 30)
    for shape in TEXT_SHAPES:

        def make(size: int, shape: bytes = shape) -> Work:
            data = pieces(shape * (size // len(shape)), at_once)

            def work() -> None:
                assembly = Assembly(Opcode.TEXT, limits, replaces)
                for piece in data:
                    assembly.add(piece, whole=True)
                assembly.message()

            return work

        assert is_linear(Case("text", make), STREAMED), shape


@pytest.mark.parametrize("piece", [b"\0", b"\1\0\0\xff\xff", b"\0\0\0\xff\xff", b"\x02\0", b"\xff"])
def test_inflating_takes_linear_time(piece: bytes) -> None:
    def make(size: int) -> Work:
        data = piece * (size // len(piece))

        def work() -> None:
            Inflater(15, takeover=True).inflate(data, 1 << 30)

        return work

    assert is_linear(Case("inflated", make))


@pytest.mark.parametrize("coding", CODINGS)
def test_the_codings_of_streams_take_linear_time(coding: str) -> None:
    for piece, at_once in ((b"a", 1), (b"\n", 1 << 30), (b"\r", 1), (b"a\r\n", 7), (b"\xff\n", 9)):

        def make(size: int, piece: bytes = piece, at_once: int = at_once) -> Work:
            data = pieces(piece * (size // len(piece)), at_once)

            def work() -> None:
                made = CODINGS[coding]()
                for each in data:
                    made.encode(each)
                made.finish()

            return work

        assert is_linear(Case(coding, make), STREAMED), piece


# That these tests would see it.


def test_a_quadratic_parser_is_found() -> None:
    import re

    slow = re.compile(r'[ \t,]*((?:"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[^",])+)')  # as it once was

    def make(size: int) -> Work:
        text = "," * size
        return lambda: slow.findall(text)

    assert not is_linear(Case("commas", make), SIZE // 8)


@pytest.mark.parametrize(
    "piece",
    [b"<", b"<!--", b"<script>", b"<title>", b"</script ", b"<p> ", b"&amp", b"-->", b"<!-->"],
)
def test_the_words_of_a_refusal_are_found_in_linear_time(piece: bytes) -> None:
    def make(size: int) -> Work:
        body = b"<html>" + piece * (size // len(piece))
        return lambda: line_of(HandshakeRefused(403, (), body))

    assert is_linear(Case(repr(piece), make))
