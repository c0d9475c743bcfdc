"""Basic authentication: which fields are credentials, and what a challenge says."""

from __future__ import annotations

from base64 import b64encode

import pytest

from txhixie.daemon.guards.basic import is_basic, read_basic, read_realm, write_basic_challenge


def basic(pair: bytes) -> str:
    return f"Basic {b64encode(pair).decode()}"


def test_the_credentials_are_a_name_and_a_password() -> None:
    assert read_basic("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==") == (b"Aladdin", b"open sesame")


def test_the_scheme_is_read_in_any_case_and_with_several_spaces() -> None:
    assert read_basic("bAsIc   QWxhZGRpbjpvcGVuIHNlc2FtZQ== ") == (b"Aladdin", b"open sesame")


def test_only_the_first_colon_ends_the_name() -> None:
    assert read_basic(basic(b"alice:a:b:")) == (b"alice", b"a:b:")
    assert read_basic(basic(b":")) == (b"", b"")


def test_UTF_8_is_taken_as_it_is() -> None:
    """The example of RFC 7617 section 2.1."""
    assert read_basic("Basic dGVzdDoxMjPCow==") == (b"test", "123\N{POUND SIGN}".encode())


def test_ISO_8859_1_becomes_UTF_8() -> None:
    pair = "ren\xe9:\xa3".encode("latin-1")
    assert read_basic(basic(pair)) == ("ren\xe9".encode(), "\xa3".encode())


@pytest.mark.parametrize("control", [b"\0", b"\n", b"\r", b"\x1b", b"\x7f"])
@pytest.mark.parametrize("pair", [b"ali%bce:x", b"alice:x%b"])
def test_a_control_character_is_not_allowed(pair: bytes, control: bytes) -> None:
    assert read_basic(basic(pair % control)) is None


@pytest.mark.parametrize(
    "field",
    [
        "",
        "Basic",
        "Basic ",
        "Basic QWxhZGRpbg==",  # without a colon
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=",  # a wrong padding
        "Basic Q",
        "Basic !!!",
        "Basic QTpi, Basic QTpi",  # two fields
        'Basic QTpi, realm="x"',
        "Bearer QTpi",
        "QTpi",
        "BasicQTpi",
    ],
)
def test_other_values_are_no_credentials(field: str) -> None:
    assert read_basic(field) is None


def test_credentials_are_not_in_a_traceback() -> None:
    credentials = read_basic(basic(b"alice:secret"))
    assert repr(credentials) == "BasicCredentials(...)"


@pytest.mark.parametrize("field", ["Basic", "basic QTpi", "BASIC\tQTpi", "Basic !"])
def test_a_wrong_value_of_the_scheme_is_known_by_its_scheme(field: str) -> None:
    assert is_basic(field)


@pytest.mark.parametrize("field", ["", "Bearer Basic", "Basically QTpi"])
def test_other_schemes_are_not_Basic(field: str) -> None:
    assert not is_basic(field)


def test_the_challenge_has_the_realm_and_the_charset() -> None:
    assert write_basic_challenge("Control room") == b'Basic realm="Control room", charset="UTF-8"'


def test_quotation_marks_and_backslashes_of_a_realm_are_escaped() -> None:
    assert write_basic_challenge('a "b" \\c').startswith(b'Basic realm="a \\"b\\" \\\\c",')


@pytest.mark.parametrize("text", ["", "caf\xe9", "a\nb", "a\x7f"])
def test_a_realm_is_printable_ASCII(text: str) -> None:
    with pytest.raises(ValueError, match="expected a realm of printable ASCII"):
        read_realm(text)
    assert read_realm("Control room") == "Control room"
