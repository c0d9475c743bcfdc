"""Receiving from and sending to sockets, in C and in Python: both give the same results."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from support.c_extension import compiled_sockets, every_way
from txhixie.sansio.wire.mask import mask
from txhixie.sockets import socket_calls as module

_SO_SNDBUFFORCE = 32  # Linux; Python has no name for it

Pair = tuple[socket.socket, socket.socket]


def twin(way: str, name: str) -> Any:
    """A function in C, in Python, or the one that the package uses."""
    if way == "c":
        return getattr(compiled_sockets(), name)
    return getattr(module, f"{name}_in_python" if way == "python" else name)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Both ends of a TCP connection, which do not block."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    for each in (ours, theirs):
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        each.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def received(sock: socket.socket, size: int) -> bytes:
    """The bytes that arrive, until there are so many."""
    sock.settimeout(30)
    data = bytearray()
    while len(data) < size:
        data += sock.recv(1 << 20)
    sock.setblocking(False)
    return bytes(data)


@every_way
def test_a_read_returns_what_has_arrived(way: str, pair: Pair) -> None:
    ours, theirs = pair
    receive = twin(way, "receive")
    assert receive(ours.fileno()) is None
    theirs.settimeout(30)
    for data in (b"a", b"Hello", bytes(5000)):
        theirs.sendall(data)
        read = b""
        while len(read) < len(data):
            read += receive(ours.fileno()) or b""
        assert read == data
    assert receive(ours.fileno()) is None


@every_way
def test_a_read_has_at_most_64_KiB(way: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        ours.setblocking(False)
        theirs.send(b"x" * 70_000)
        assert twin(way, "receive")(ours.fileno()) == b"x" * 65536
        assert twin(way, "receive")(ours.fileno()) == b"x" * (70_000 - 65536)


@every_way
def test_the_end_of_the_stream_is_no_bytes(way: str, pair: Pair) -> None:
    ours, theirs = pair
    theirs.shutdown(socket.SHUT_WR)
    while (data := twin(way, "receive")(ours.fileno())) is None:
        pass
    assert data == b""
    assert type(data) is bytes


@every_way
def test_a_reset_and_a_closed_socket_are_errors(way: str, pair: Pair) -> None:
    ours, theirs = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()  # a reset
    while (data := twin(way, "receive")(ours.fileno())) is None:
        pass
    assert data is False
    ours.close()
    assert twin(way, "receive")(ours.fileno()) is False


@every_way
@pytest.mark.parametrize("count", [1, 2, 3, 63, 64, 65, 128, 129, 1000])
def test_all_parts_are_sent_in_order(way: str, count: int, pair: Pair) -> None:
    ours, theirs = pair
    parts = [b"%d;" % number * (number % 5) for number in range(count)]
    whole = b"".join(parts)
    assert twin(way, "send_parts")(ours, parts) == len(whole)
    assert received(theirs, len(whole)) == whole
    assert twin(way, "send_parts")(ours, whole + b"!") == len(whole) + 1
    assert received(theirs, len(whole) + 1) == whole + b"!"


@every_way
def test_no_parts_are_no_bytes(way: str, pair: Pair) -> None:
    for nothing in ([], [b""], b"", [b"", b""]):
        assert twin(way, "send_parts")(pair[0], nothing) == 0


@every_way
@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_a_full_socket_takes_a_part_of_the_bytes(way: str, size: int, pair: Pair) -> None:
    """The number is that of the bytes that arrive, the first ones."""
    ours, theirs = pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    parts = [bytes((number % 251,)) * size for number in range(200 + 30_000_000 // size // 20)]
    parts = parts[:20_000]
    whole = b"".join(parts)
    total = 0
    while sent := twin(way, "send_parts")(ours, parts if not total else whole[total:]):
        total += sent
        if total == len(whole):
            break
    assert received(theirs, total) == whole[:total]


@every_way
def test_an_error_sends_nothing(way: str, pair: Pair) -> None:
    ours, _ = pair
    ours.shutdown(socket.SHUT_WR)
    assert twin(way, "send_parts")(ours, b"a") == 0
    assert twin(way, "send_parts")(ours, [b"a", b"b"]) == 0
    ours.close()
    assert twin(way, "send_parts")(ours, b"a") == 0


@every_way
@pytest.mark.parametrize("parts", ["text", None, ["text"], [b"a", 5]])
def test_only_bytes_are_sent(way: str, parts: Any, pair: Pair) -> None:
    with pytest.raises(TypeError):
        twin(way, "send_parts")(pair[0], parts)


def test_a_payload_is_received_into_its_object_and_unmasked_there(pair: Pair) -> None:
    """A new object has the bytes of the old one; one with room is the same object."""
    ours, theirs = pair
    receive = compiled_sockets().receive_payload
    key, plain = b"\x01\x20\x03\x40", bytes(range(256)) * 20
    assert receive(ours, b"abc", 3, 10, key) is None
    theirs.sendall(mask(plain, key))
    first, count = receive(ours, b"abc", 3, 103, key)
    assert (first[:3], count, first[3:]) == (b"abc", 100, plain[:100])
    larger, count = receive(ours, first, 103, 2000, key)
    assert (len(larger), count, larger[:103], larger[103:]) == (2000, 1897, first, plain[100:1997])
    turned = key[1:] + key[:1]
    theirs.sendall(b"next")
    same, count = receive(ours, b"?" * 2000 + larger, 2000, 4000, turned)
    assert (len(same), count, same[2000:]) == (4000, 2000, plain[1997:3997])
    partly, count = receive(ours, same, 4000, 9000, turned)
    assert (len(partly), count) == (9000, 5120 - 3997 + 4)
    theirs.sendall(b"more")
    again, count = receive(ours, partly, 4000 + count, 9000, b"")
    assert again is partly
    assert (count, again[5127:5131]) == (4, b"more")
    assert again[4000 : 4000 + 1123] == plain[3997:]


def test_a_read_of_a_payload_has_at_most_768_KiB() -> None:
    """As many bytes wait only where the system allows such a buffer: root may ask for it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        with suppress(OSError):
            theirs.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, 1 << 22)
        theirs.setblocking(False)
        sent = theirs.send(bytes(1_000_000))
        _, count = compiled_sockets().receive_payload(ours, b"ab", 2, 1 << 20, b"")
        assert count == min(sent, module.PAYLOAD_READ)


def test_the_end_and_an_error_are_those_of_a_read(pair: Pair) -> None:
    ours, theirs = pair
    theirs.shutdown(socket.SHUT_WR)
    while (data := compiled_sockets().receive_payload(ours, b"ab", 2, 9, b"")) is None:
        pass
    assert data == b""
    ours.close()
    assert compiled_sockets().receive_payload(ours, b"ab", 2, 9, b"") is False


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((b"ab", 2, 9), TypeError),
        (("ab", 2, 9, b""), TypeError),
        ((b"ab", 2, 9, "key"), TypeError),
        ((b"ab", "2", 9, b""), TypeError),
        ((b"ab", -1, 9, b""), ValueError),
        ((b"ab", 0, 9, b""), ValueError),
        ((b"ab", 3, 9, b""), ValueError),
        ((b"ab", 2, 2, b""), ValueError),
        ((b"ab", 2, 9, b"key"), ValueError),
        ((b"ab", 2, 9, b"keykey12"), ValueError),
    ],
)
def test_a_payload_has_room_and_a_key_four_bytes(
    arguments: tuple[Any, ...], error: type[Exception], pair: Pair
) -> None:
    with pytest.raises(error):
        compiled_sockets().receive_payload(pair[0], *arguments)


def test_the_c_functions_check_their_arguments(pair: Pair) -> None:
    for arguments in ((), (pair[0],), (pair[0], b"", b"")):
        with pytest.raises(TypeError):
            compiled_sockets().send_parts(*arguments)
    with pytest.raises(TypeError):
        compiled_sockets().send_parts(pair[0], (b"a",))


def test_c_keeps_no_references(pair: Pair) -> None:
    ours, theirs = pair
    part = bytes(100)
    parts = [part] * 70
    before = sys.getrefcount(part), sys.getrefcount(parts), sys.getrefcount(ours)
    for _ in range(20):
        compiled_sockets().send_parts(ours, parts)
        compiled_sockets().send_parts(ours, part)
        received(theirs, 7100)
        compiled_sockets().receive(ours.fileno())
        compiled_sockets().receive_payload(ours, part, 100, 200, b"")
        theirs.send(b"abc")
        compiled_sockets().receive_payload(ours, part, 100, 200, b"")
        compiled_sockets().receive_payload(ours, part, 100, 200, b"")
    assert (sys.getrefcount(part), sys.getrefcount(parts), sys.getrefcount(ours)) == before


# The last bytes before the end of a connection.


def segments_received(sock: socket.socket) -> int:
    """The number of TCP segments that a socket has received, ``tcpi_segs_in`` of Linux."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    number: int = struct.unpack_from("I", info, 140)[0]
    return number


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has MSG_MORE")
@pytest.mark.parametrize("parts", [b"bye", [b"b", b"ye"]])
def test_last_bytes_wait_for_the_close_and_come_in_one_packet_with_it(
    parts: bytes | list[bytes], pair: Pair
) -> None:
    ours, theirs = pair
    assert module.send_last(ours, parts) == 3
    with pytest.raises(BlockingIOError):
        theirs.recv(10)
    before = segments_received(theirs)
    ours.close()
    assert received(theirs, 3) == b"bye"
    assert theirs.recv(10) == b""
    assert segments_received(theirs) - before == 1


def test_last_bytes_arrive_also_without_a_close(pair: Pair) -> None:
    ours, theirs = pair
    assert module.send_last(ours, b"bye") == 3
    assert received(theirs, 3) == b"bye"


def test_of_last_bytes_a_full_socket_takes_a_part_or_none(pair: Pair) -> None:
    ours, theirs = pair
    data = bytes(1 << 20)
    sent = 0
    while taken := module.send_last(ours, data):
        sent += taken
    assert received(theirs, sent) == bytes(sent)


def test_last_bytes_for_a_closed_socket_are_not_sent(pair: Pair) -> None:
    ours, _ = pair
    ours.close()
    assert module.send_last(ours, b"bye") == 0
