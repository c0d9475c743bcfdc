"""Agreement on an extension: the client's order of preference, and only extensions that were
offered."""

from __future__ import annotations

import pytest

from support.peer_errors import assert_raises
from txhixie.errors import InvalidHandshake
from txhixie.extensions import CLIENT_EXTENSIONS, DEFAULT_EXTENSIONS, EXTENSIONS
from txhixie.sansio.extensions.deflate import Inflater
from txhixie.sansio.extensions.deflate_frame import DeflateFrame, FrameTransform
from txhixie.sansio.extensions.extension import accept, agree, unchanged_below
from txhixie.sansio.extensions.permessage_deflate import MessageTransform, PermessageDeflate
from txhixie.sansio.http.parameters import Named, read_list

MESSAGE, FRAME = "permessage-deflate", "x-webkit-deflate-frame"


def chosen(offered: str) -> tuple[tuple[Named, ...], type | None]:
    """The response of a server with all extensions to a header field of offers, and the agreed
    extension."""
    answered, transform = accept(EXTENSIONS, read_list([offered]))
    return answered, None if transform is None else type(transform)


def test_there_are_two_and_both_are_agreed_by_default() -> None:
    """The one that has a number of its own in the registry of RFCs first; a client offers that."""
    assert [extension.name for extension in EXTENSIONS] == [MESSAGE, FRAME]
    assert DEFAULT_EXTENSIONS == EXTENSIONS
    assert [extension.name for extension in CLIENT_EXTENSIONS] == [MESSAGE]


@pytest.mark.parametrize(
    ("offered", "name"),
    [
        (MESSAGE, MESSAGE),
        (FRAME, FRAME),
        (f"{FRAME}, {MESSAGE}", FRAME),
        (f"{MESSAGE}, {FRAME}", MESSAGE),
        (f"mux, {FRAME}", FRAME),
        (f"{MESSAGE}; unknown, {FRAME}", FRAME),
        (f"{MESSAGE}; unknown, {MESSAGE}", MESSAGE),
        (f"{MESSAGE}; server_max_window_bits=8, {MESSAGE}; server_max_window_bits=9", MESSAGE),
    ],
)
def test_a_server_takes_the_first_offer_it_can(offered: str, name: str) -> None:
    """One, since all that there are take the same bit."""
    answered, kind = chosen(offered)
    assert [given for given, _ in answered] == [name]
    assert kind is (MessageTransform if name == MESSAGE else FrameTransform)


@pytest.mark.parametrize(
    "offered",
    [
        *("", "mux", "deflate-stream", "Permessage-Deflate", "deflate-frame"),
        *("permessage-compress", f"{MESSAGE}; unknown", f"{FRAME}; unknown"),
        f"{MESSAGE}; server_max_window_bits=8",
    ],
)
def test_an_offer_that_cannot_be_accepted_is_ignored(offered: str) -> None:
    """The conversation goes on without; deflate-stream would undo the masks."""
    assert chosen(offered) == ((), None)


def test_a_server_without_extensions_accepts_none() -> None:
    """All offers are declined."""
    assert accept((), read_list([f"{MESSAGE}, {FRAME}"])) == ((), None)


def test_a_client_accepts_a_response_without_extensions() -> None:
    """A server need not agree to any offer."""
    assert agree(EXTENSIONS, ()) is None


def test_a_client_accepts_what_it_offered() -> None:
    """The extension is found by its name, in any order of the offers."""
    answers: list[tuple[Named, type]] = [
        ((MESSAGE, (("server_no_context_takeover", None),)), MessageTransform),
        ((FRAME, ()), FrameTransform),
    ]
    for answered, kind in answers:
        for ours in (EXTENSIONS, EXTENSIONS[::-1]):
            assert type(agree(ours, [answered])) is kind


@pytest.mark.parametrize(
    ("answered", "reason"),
    [
        ("mux", "extension: 'mux' was not offered"),
        ("x-webkit-deflate-frame", "extension: 'x-webkit-deflate-frame' was not offered"),
        ("PERMESSAGE-DEFLATE", "extension: 'PERMESSAGE-DEFLATE' was not offered"),
        (
            "permessage-deflate, permessage-deflate",
            "extension: two extensions for the same reserved bit",
        ),
        ("permessage-deflate, mux", "extension: two extensions for the same reserved bit"),
        ("permessage-deflate; x", "extension: permessage-deflate with invalid parameters"),
    ],
)
def test_a_client_refuses_an_extension_that_it_did_not_offer(answered: str, reason: str) -> None:
    """The client would interpret reserved bits that have no meaning for it."""
    ours = [PermessageDeflate(server_takeover=True)]
    assert_raises(InvalidHandshake, agree, ours, read_list([answered]), match=f"^{reason}$")


@pytest.mark.parametrize("ours", [PermessageDeflate(), DeflateFrame()])
def test_our_own_two_sides_agree(ours: PermessageDeflate | DeflateFrame) -> None:
    """On what each of them offers."""
    answered, transform = accept([ours], [(ours.name, ours.offers())])
    assert transform is not None
    assert type(agree([ours], answered)) is type(transform)


def test_the_size_of_an_unchanged_message_is_an_int() -> None:
    """It reaches the C code, which would refuse each text of the connection."""
    transform = MessageTransform(None, Inflater(15, False), 256)
    assert unchanged_below(transform) == 256
    transform.unchanged_below = -(1 << 70)
    assert unchanged_below(transform) == 0
    transform.unchanged_below = 256.0  # type: ignore[assignment]  # the test sets a wrong type
    with pytest.raises(TypeError, match=r"^unchanged_below: expected int, not float$"):
        unchanged_below(transform)
