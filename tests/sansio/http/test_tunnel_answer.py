"""The ``CONNECT`` request, and any response of a proxy, for any cuts of the reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import same_every_way
from support.held_bytes import kept
from support.peer_errors import assert_raises
from support.vectors import Item, vectors
from txhixie.errors import HeadTooLarge, MalformedHead
from txhixie.sansio.http.authentication import write_basic
from txhixie.sansio.http.head import HeadReader, Request, read_request
from txhixie.sansio.http.tunnel_answer import AnswerReader, TunnelAnswer, authority, write_connect
from txhixie.sansio.http.url import Credentials
from txhixie.sansio.limits import Limits

SMALL = Limits(head_size=200, head_fields=5, refusal_size=10)


def requested(data: bytes) -> Request:
    """A request, taken apart."""
    found = HeadReader(16384).read(data)
    assert found is not None
    head, rest = found
    assert rest == b""
    return read_request(head)


# The request.


@vectors("proxy")
def test_a_request_is_the_drafts(item: Item) -> None:
    """Their ``Host`` had no port; today it is the authority (RFC 9112 section 3.2.3)."""
    host, port = item["target"]
    name, _, password = (item["auth"] or "").partition(":")
    authorization = write_basic(Credentials(name, password)) if item["auth"] else None
    ours = requested(write_connect(host, port, authorization))
    theirs = requested(bytes.fromhex(item["request"]))
    assert (ours.method, ours.target) == (theirs.method, theirs.target)
    assert ours.fields.only(b"host") == f"{host}:{port}".encode()
    field = b"proxy-authorization"
    assert ours.fields.only(field) == theirs.fields.only(field)
    if item["id"] == "p-rfc9110":
        assert ours.head.raw == theirs.head.raw


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("host.example", 443, "host.example:443"),
        ("HOST_1.example.", 80, "HOST_1.example.:80"),
        ("192.0.2.1", 65535, "192.0.2.1:65535"),
        ("2001:db8::1", 1, "[2001:db8::1]:1"),
        ("[2001:db8::1]", 443, "[2001:db8::1]:443"),
        ("::ffff:192.0.2.1", 443, "[::ffff:192.0.2.1]:443"),
        ("b\u00fccher.example", 443, "xn--bcher-kva.example:443"),
    ],
)
def test_an_authority_is_a_host_and_a_port(host: str, port: int, said: str) -> None:
    assert authority(host, port) == said
    request = write_connect(host, port)
    assert request == f"CONNECT {said} HTTP/1.1\r\nHost: {said}\r\n\r\n".encode()


@pytest.mark.parametrize(
    "host",
    ["", "a b", "a/b", "a\r\nX: y", "a:80", "[::1", "::1]", "[a]", "fe80::1%eth0", "a@b", "[]"],
)
def test_an_invalid_host_is_not_requested(host: str) -> None:
    """Such a host could begin another request."""
    with pytest.raises(ValueError, match="host"):
        write_connect(host, 443)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_an_invalid_port_is_not_requested(port: int) -> None:
    with pytest.raises(ValueError, match="port"):
        write_connect("host.example", port)


def test_further_fields_are_for_the_proxy() -> None:
    headers = ((b"User-Agent", b"txhixie"),)
    assert b"\r\nUser-Agent: txhixie\r\n" in write_connect("h", 1, headers=headers)
    with pytest.raises(ValueError, match="header"):
        write_connect("h", 1, headers=((b"X", b"a\r\nY: b"),))


@pytest.mark.parametrize("name", [b"Host", b"proxy-authorization"])
def test_fields_of_the_request_itself_cannot_be_added_again(name: bytes) -> None:
    with pytest.raises(ValueError, match=name.decode()):
        write_connect("h", 1, b"Basic x", ((name, b"y"),))


# The response.


def read(chunks: list[bytes], limits: Limits = SMALL) -> TunnelAnswer | None:
    """The result of a delivery; bytes behind the response are its rest, if it has one."""
    reader, answer = AnswerReader(limits), None
    for chunk in chunks:
        if answer is None:
            answer = reader.receive(chunk)
        elif answer.open:
            answer = answer._replace(rest=answer.rest + chunk)
    return answer


def answered(data: bytes, tail: bytes = b"", limits: Limits = SMALL) -> TunnelAnswer:
    """The same result for the whole response and byte by byte."""
    answer = same_every_way(lambda chunks: read(chunks, limits), data, tail)
    assert answer is not None
    return answer


@vectors("proxy_responses")
def test_an_answer_is_what_it_is_known_to_be(item: Item) -> None:
    data = bytes.fromhex(item["response"])
    if item["id"] == "pr-long":
        assert_raises(HeadTooLarge, read, [data], Limits())
        return
    rest = bytes.fromhex(item.get("rest", ""))
    if rest:
        answer = answered(data.removesuffix(rest), rest)
    else:
        found = read([data]) or read_to_the_end(data)
        assert found is not None
        answer = found
    assert answer.open == (item["result"] == "tunnel")
    assert (answer.status == 407) == (item["result"] == "auth")
    assert answer.rest == rest


def read_to_the_end(data: bytes, limits: Limits = SMALL) -> TunnelAnswer | None:
    """The result of a delivery after which the connection ends."""
    reader = AnswerReader(limits)
    assert reader.receive(data) is None
    return reader.end()


@pytest.mark.parametrize("status", [200, 201, 204, 299])
@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\nProxy-Agent: it\r\n",
    ],
)
@pytest.mark.parametrize("tail", [b"", b"SSH-2.0-OpenSSH\r\n"])
@pytest.mark.parametrize("version", [b"0", b"1"])
def test_after_any_2xx_every_byte_is_the_hosts(
    status: int, fields: bytes, tail: bytes, version: bytes
) -> None:
    """RFC 9110 section 9.3.6: a length or a coding there is to be ignored."""
    head = b"HTTP/1.%b %d Connection Established\r\n%b\r\n" % (version, status, fields)
    answer = answered(head, tail)
    assert (answer.open, answer.status, answer.rest, answer.body) == (True, status, tail, b"")


@pytest.mark.parametrize("first", [b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.0 200 caf\xc3\xa9"])
def test_the_reason_phrase_is_ignored(first: bytes) -> None:
    assert answered(first + b"\r\n\r\n").open


@pytest.mark.parametrize("status", [101, 300, 302, 304, 403, 404, 407, 502, 503, 999])
def test_every_other_response_is_a_refusal(status: int) -> None:
    """A 101 switches to a protocol that was not requested; a 3xx is not followed."""
    answer = answered(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nLocation: /\r\n\r\n" % status)
    assert (answer.status, answer.open, answer.body) == (status, False, b"")
    assert (b"location", b"/") in answer.headers


@pytest.mark.parametrize("status", [101, 304])
def test_a_response_without_a_body_is_complete_at_once(status: int) -> None:
    """Its length fields are ignored (RFC 9112 section 6.3): otherwise the client would wait for a
    minute."""
    for fields in (b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"):
        assert answered(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, fields)).status == status


@pytest.mark.parametrize("interim", [b"100 Continue", b"103 Early Hints\r\nLink: </x>"])
def test_an_interim_response_is_skipped(interim: bytes) -> None:
    """RFC 9110 section 15.2: any number of 1xx may come first."""
    answer = answered(
        (b"HTTP/1.1 " + interim + b"\r\n\r\n") * 2 + b"HTTP/1.1 200 OK\r\n\r\n", b"hi"
    )
    assert (answer.status, answer.rest) == (200, b"hi")


def test_an_endless_sequence_of_interim_answers_is_refused() -> None:
    """All the heads together have the one limit."""
    assert_raises(HeadTooLarge, read, [b"HTTP/1.1 100 Continue\r\n\r\n"] * 20, SMALL)


BODIES = [
    (b"Content-Length: 5\r\n", b"hello", True),
    (b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello", True),
    (b"Content-Length: 0\r\n", b"", True),
    (b"Transfer-Encoding: chunked\r\n", b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", True),
    (b"Transfer-Encoding: Chunked\r\n", b"0\r\n\r\n", True),
    (b"Content-Length: 5, 5\r\n", b"hello", True),
    (b"Content-Length: 5\r\nConnection: close\r\n", b"hello", False),
    (b"Content-Length: 5\r\nConnection: x, Close\r\n", b"hello", False),
    (b"Content-Length: 5\r\nProxy-Connection: close\r\n", b"hello", False),
    (b"Content-Length: 5\r\nProxy-Connection: keep-alive\r\n", b"hello", True),
]


@pytest.mark.parametrize(("fields", "sent", "reusable"), BODIES)
def test_a_body_ends_where_its_head_says(fields: bytes, sent: bytes, reusable: bool) -> None:
    """Only then, and if the proxy wants it, may the same connection be asked again."""
    limits = Limits(refusal_size=100)
    answer = answered(b"HTTP/1.1 407 Who?\r\n" + fields + b"\r\n" + sent, limits=limits)
    assert answer.body in (b"hello", b"")
    assert answer.reusable is reusable


@pytest.mark.parametrize(("fields", "sent", "_reusable"), BODIES)
def test_of_HTTP_1_0_no_connection_stays(fields: bytes, sent: bytes, _reusable: bool) -> None:
    """Too many that say they keep it alive do not."""
    data = b"HTTP/1.0 407 Who?\r\n" + fields + b"\r\n" + sent
    assert not answered(data, limits=Limits(refusal_size=100)).reusable


def test_a_body_of_no_length_ends_with_the_connection() -> None:
    answer = read_to_the_end(b"HTTP/1.1 403 No\r\n\r\nhello")
    assert answer is not None
    assert (answer.body, answer.reusable) == (b"hello", False)


@pytest.mark.parametrize("status", [200, 403, 407])
@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (b"Transfer-Encoding: gzip\r\n", "Transfer-Encoding"),
        (b"Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding"),
        (b"Content-Length: five\r\n", "Content-Length"),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length"),
        (b"Content-Length: 5, 6\r\n", "Content-Length"),
        (b"Content-Length: -5\r\n", "Content-Length"),
    ],
)
def test_a_body_of_unknown_length_is_refused(status: int, fields: bytes, why: str) -> None:
    """RFC 9112 section 6.3: such lengths cannot be recovered from; section 7.4: a coding that was
    not offered may not be sent."""
    with pytest.raises(MalformedHead, match=why):
        read([b"HTTP/1.1 %d X\r\n%b\r\nhello" % (status, fields)])


@pytest.mark.parametrize(
    "line", [b"X: a\x0bb", b"X: a\x01b", b"X: a\x7fb", b"X: a\0b", b"X : y", b": y"]
)
def test_what_a_field_may_not_hold_is_refused(line: bytes) -> None:
    """Also what h11 lets through; and nothing of it is in the error."""
    with pytest.raises(MalformedHead) as caught:
        read([b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n"])
    assert "X" not in str(caught.value)


def test_a_bare_LF_ends_no_line_also_where_another_line_ends_well() -> None:
    """A reader that ends the line there finds a length of 5, and any other finds none."""
    head = b"HTTP/1.1 407 Who?\r\nX: y\nContent-Length: 5\r\n\r\nhello"
    assert_raises(MalformedHead, read, [head])


def test_a_head_may_be_as_long_as_the_limit_and_what_follows_longer() -> None:
    """In one read, or however it comes."""
    head = b"HTTP/1.1 200 OK\r\nX: %b\r\n\r\n"
    size = SMALL.head_size - len(head % b"")
    answer = answered(head % (b"a" * size), b"b" * 300)
    assert answer.rest == b"b" * 300
    assert_raises(HeadTooLarge, read, [head % (b"a" * (size + 1))])


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        (b"Content-Length: 9\r\n", b"hello"),
        (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"9\r\nhello"),
    ],
)
def test_an_incomplete_refusal_is_a_refusal(fields: bytes, sent: bytes) -> None:
    answer = read_to_the_end(
        b"HTTP/1.1 403 No\r\n" + fields + b"\r\n" + sent, Limits(refusal_size=99)
    )
    assert answer is not None
    assert (answer.status, answer.body, answer.reusable) == (403, b"hello", False)


def test_with_two_ends_of_its_body_a_connection_does_not_stay() -> None:
    """The chunks count; a reader that uses the length would find another next response."""
    head = b"HTTP/1.1 407 Who?\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
    answer = answered(head + b"2\r\nno\r\n0\r\n\r\n")
    assert (answer.body, answer.reusable) == (b"no", False)


def test_invalid_chunks_end_a_refusal() -> None:
    head = b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = answered(head + b"nonsense\r\n")
    assert (answer.status, answer.body, answer.reusable) == (403, b"", False)


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        (b"Content-Length: 1000\r\n", b"0123456789a"),
        (b"", b"0123456789a"),
        (b"Transfer-Encoding: chunked\r\n", b"3E8\r\n0123456789a"),
    ],
)
def test_of_a_long_body_the_beginning_is_kept(fields: bytes, sent: bytes) -> None:
    """The rest is not read to reuse the connection: another connection is cheaper."""
    answer = read([b"HTTP/1.1 407 Who?\r\n" + fields + b"\r\n" + sent])
    assert answer is not None
    assert answer.body == b"0123456789"
    assert not answer.reusable


def test_unrequested_bytes_behind_a_body_prevent_reuse_of_the_connection() -> None:
    """The next request would get them as its response."""
    head = b"HTTP/1.1 407 Who?\r\nContent-Length: 2\r\n\r\nno"
    answer = read([head + b"HTTP/1.1 200 OK\r\n\r\n"], Limits())
    assert answer is not None
    assert (answer.body, answer.rest, answer.reusable) == (b"no", b"", False)


@pytest.mark.parametrize(
    "data",
    [
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"SSH-2.0-OpenSSH_9.2\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.2 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nX: y\n\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n",
        b"H" * 201,
    ],
)
def test_a_malformed_response_is_an_error_at_once(data: bytes) -> None:
    assert_raises(MalformedHead, read, [data])


@pytest.mark.parametrize("fields", [b"X: y\r\n" * 6 + b"\r\n", b"X: " + b"a" * 200])
def test_a_head_that_is_too_large_is_an_error_at_once(fields: bytes) -> None:
    assert_raises(HeadTooLarge, read, [b"HTTP/1.1 200 OK\r\n" + fields])


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_a_response_or_a_named_error(data: bytes, begun: bool) -> None:
    """No bytes beyond the limits are kept."""
    reader = AnswerReader(SMALL)
    try:
        reader.receive((b"HTTP/1.1 403 No\r\n" if begun else b"") + data)
    except MalformedHead as error:
        assert str(error).isprintable()
    assert kept(reader) <= 600
    reader.end()


def test_before_a_head_is_whole_nothing_was_said() -> None:
    reader = AnswerReader(SMALL)
    assert reader.end() is None
    assert reader.receive(b"HTTP/1.1 200 OK\r\n") is None
    assert reader.end() is None


def test_challenges_are_all_the_fields_of_that_name() -> None:
    answer = answered(
        b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic realm=x\r\nproxy-authenticate: NTLM\r\n"
        b"WWW-Authenticate: Digest\r\nContent-Length: 0\r\n\r\n"
    )
    assert answer.challenges == ["Basic realm=x", "NTLM"]
