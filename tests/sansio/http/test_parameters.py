"""Lists of names with parameters: the grammar of RFC 6455 section 9.1, and nothing beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.peer_errors import assert_raises
from txhixie.errors import MalformedHead
from txhixie.sansio.http.head import TOKEN
from txhixie.sansio.http.parameters import Named, read_list, write_list


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("foo", (("foo", ()),)),
        ("foo, bar", (("foo", ()), ("bar", ()))),
        ("foo,bar", (("foo", ()), ("bar", ()))),
        ("foo; a", (("foo", (("a", None),)),)),
        ("foo;a;b=2", (("foo", (("a", None), ("b", "2"))),)),
        ("foo; a=1; a=2", (("foo", (("a", "1"), ("a", "2"))),)),
        ("foo; a, foo; b", (("foo", (("a", None),)), ("foo", (("b", None),)))),
        ("deflate-stream", (("deflate-stream", ()),)),
        (
            "mux; max-channels=4; flow-control",
            (("mux", (("max-channels", "4"), ("flow-control", None))),),
        ),
        ("private-extension", (("private-extension", ()),)),
        ("!#$%&'*+-.^_`|~09azAZ", (("!#$%&'*+-.^_`|~09azAZ", ()),)),
        ("Foo; A=B", (("Foo", (("A", "B"),)),)),
    ],
)
def test_names_have_parameters_in_their_order(text: str, expected: tuple[Named, ...]) -> None:
    """With a value or without, and repeated ones too: the extension decides what they mean."""
    assert read_list([text]) == expected


@pytest.mark.parametrize(
    "text",
    [
        " foo;a=1,bar ",
        "foo ; a = 1 , bar",
        "\tfoo\t;\ta\t=\t1\t,\tbar\t",
        ",foo;a=1,,bar,",
        " , ,\t,foo;a=1, , bar , ",
        'foo;a="1",bar',
        'foo; a = "1" , bar',
        'foo;a="\\1",bar',
    ],
)
def test_blanks_empty_members_and_quotes_mean_nothing(text: str) -> None:
    """A list is what is in it (RFC 9110 section 5.6.1.2)."""
    assert read_list([text]) == (("foo", (("a", "1"),)), ("bar", ()))


@pytest.mark.parametrize("text", ["", " ", ",", ",,", " , ", "\t"])
def test_a_list_may_be_of_nothing(text: str) -> None:
    """An empty field is no mistake."""
    assert read_list([text]) == ()


def test_a_list_may_come_in_several_fields() -> None:
    """The fields are one list, as if joined with commas."""
    fields = ["foo; a=1", "", "bar, baz; b"]
    assert read_list(fields) == (("foo", (("a", "1"),)), ("bar", ()), ("baz", (("b", None),)))
    assert read_list([]) == ()


@pytest.mark.parametrize(
    "text",
    [
        ";",
        "; a",
        "foo;",
        "foo;;a",
        "foo; a;",
        "foo; =1",
        "foo; a=",
        "foo; a==1",
        "foo; a=1=2",
        "foo; a=1 2",
        "foo; a b",
        "foo bar",
        "foo=1",
        "=",
        '"foo"',
        'foo; "a"',
        'foo; a="',
        'foo; a="1',
        'foo; a="1""2"',
        'foo; a="1"2',
        'foo; a=1"2"',
        'foo; a=""',
        'foo; a="1 2"',
        'foo; a="1,2"',
        'foo; a="1;2"',
        'foo; a="1\\"2"',
        'foo; a="\\"',
        "foo; a='1 2'",
        "foo; a=1, ;",
        "foo/bar",
        "foo; a=(1)",
        "foo; a=\x00",
        "f\xf6\xf6",
        "foo; a=\xb2",
        "foo\x0b",
        "foo\x85, bar",
        "foo\n, bar",
    ],
)
def test_a_malformed_list_is_refused(text: str) -> None:
    """The malformed member may be behind a valid one, before one, or in another field."""
    reasons = "^invalid (Sec-WebSocket-Extensions$|quoted parameter in Sec-WebSocket-Extensions: )"
    for values in ([text], ["ok; x=1", text], [text, "ok"]):
        assert_raises(MalformedHead, read_list, values, match=reasons)


def test_a_quoted_value_does_not_run_into_the_next_field() -> None:
    """Joined they would be one string, and that is no token."""
    assert_raises(MalformedHead, read_list, ['foo; a="1', '2"'])


@pytest.mark.parametrize(
    "text", ["," * 16000, "a;" * 8000, 'a;b="' + "\\\\" * 8000, " " * 16000, "a;b" + " " * 16000]
)
def test_a_hostile_list_costs_no_more_than_its_length(text: str) -> None:
    """Nothing in the grammar is read twice; 16 KiB is the largest head there is by default."""
    try:
        assert len(read_list([text])) <= 1
    except MalformedHead as error:
        assert str(error).isprintable()  # some of them are lists, and some are not


def test_a_list_is_written_as_the_rfc_shows_it() -> None:
    """Comma and semicolon with a blank behind them; no quotes, since no token needs them."""
    items = (("foo", (("a", None), ("b", "10"))), ("bar", ()))
    assert write_list(items) == "foo; a; b=10, bar"
    assert write_list(()) == ""


tokens = st.text(st.sampled_from(TOKEN.decode()), min_size=1, max_size=8)
named = st.tuples(tokens, st.lists(st.tuples(tokens, st.none() | tokens), max_size=4).map(tuple))


@given(st.lists(named, max_size=4).map(tuple))
def test_what_is_written_is_read(items: tuple[Named, ...]) -> None:
    """In one field or one each."""
    assert read_list([write_list(items)]) == items
    assert read_list([write_list([item]) for item in items]) == items


@given(st.text(st.sampled_from('ab;,="\\ \t\x00ä'), max_size=30))
def test_any_text_is_a_list_or_a_named_error(text: str) -> None:
    """And what is a list can be written and read again."""
    try:
        items = read_list([text])
    except MalformedHead:
        return
    assert read_list([write_list(items)]) == items
