"""Text messages that are sent together, in C and in Python."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.c_extension import FOLDER, NAME, built, compiled, every_way, imported
from txhixie.sansio.wire import joined_texts as module
from txhixie.sansio.wire.message_batch import write_hixie_text, write_text

WRITERS = {"join_text": write_text, "join_hixie_text": write_hixie_text}
ROOM = module.JOINED_SIZE - 5
"""Bytes of the largest text that fits, behind no other one."""

either = pytest.mark.parametrize("name", WRITERS)


def twin(way: str, name: str) -> Any:
    """A function in C, in Python, or the one that the package uses."""
    if way == "c":
        return getattr(compiled(), name)
    return getattr(module, f"{name}_in_python" if way == "python" else name)


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """Each test takes what it has joined."""
    yield
    assert [twin(way, "take_joined")() for way in ("python", "chosen")] == [b"", b""]


@every_way
@either
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 4096, ROOM])
def test_the_frame_is_the_one_that_is_written(way: str, name: str, size: int) -> None:
    for text in ("x" * size, "é" * (size // 2) + "x" * (size % 2)):
        assert twin(way, name)(text, size) is True
        assert twin(way, "take_joined")() == WRITERS[name](text)
        assert twin(way, "take_joined")() == b""


@every_way
@either
def test_a_longer_text_is_not_joined(way: str, name: str) -> None:
    """The length is that of its UTF-8."""
    join = twin(way, name)
    assert [join("abc", most) for most in (3, 2, 0, -1)] == [True, False, False, False]
    assert [join("é€", most) for most in (5, 4, 2, 1)] == [True, False, False, False]
    assert [join("", most) for most in (0, -1)] == [True, False]
    assert join("x" * (1 << 20), 1 << 30) is False
    assert twin(way, "take_joined")() == b"".join(map(WRITERS[name], ["abc", "é€", ""]))


@every_way
@either
@pytest.mark.parametrize("before", ["", "x", "x" * 200, "x" * 40_000])
def test_the_memory_is_filled_to_its_end_and_not_beyond(way: str, name: str, before: str) -> None:
    join, written = twin(way, name), WRITERS[name](before) if before else b""
    room = ROOM - len(written)
    for beyond in (1, 2, 3, 4, 5, 1000):
        assert not before or join(before, ROOM) is True
        assert join("x" * (room + beyond), 1 << 20) is False
        assert join("x" * room, 1 << 20) is True
        assert join("x", 1) is False
        assert twin(way, "take_joined")().endswith(WRITERS[name]("x" * room))


@every_way
@either
def test_what_is_no_text_is_an_error_that_joins_nothing(way: str, name: str) -> None:
    join = twin(way, name)
    join("before", 100)
    for other in (b"bytes", None, 5, ["a"]):
        with pytest.raises(TypeError):
            join(other, 100)
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        join("a\ud800", 100)
    join("behind", 100)
    assert twin(way, "take_joined")() == b"".join(map(WRITERS[name], ["before", "behind"]))


@either
def test_the_functions_in_c_check_their_arguments(name: str) -> None:
    """CPython calls them without a tuple; they must not read beyond their arguments."""
    join = getattr(compiled(), name)
    for arguments in ((), ("a",), ("a", 1, 2), ("a", "1"), ("a", None)):
        with pytest.raises(TypeError):
            join(*arguments)
    with pytest.raises(OverflowError):
        join("a", 1 << 70)
    assert compiled().take_joined() == b""


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*WRITERS]),
            st.text(max_size=40) | st.integers(0, 17_000).map("x".__mul__),
            st.sampled_from([-1, 0, 10, 125, 16_383, 1 << 20]),
        ),
        max_size=40,
    )
)
def test_both_join_the_same(texts: list[tuple[str, str, int]]) -> None:
    """Up to the end of the room, and behind it whatever still fits."""
    frames: list[bytes] = []
    for name, text, most in texts:
        joined = twin("c", name)(text, most)
        assert joined is twin("python", name)(text, most)
        if joined:
            frames.append(WRITERS[name](text))
        else:
            size = len(text.encode())
            assert size > most or size + len(b"".join(frames)) > module.JOINED_SIZE - 5
    taken = twin("c", "take_joined")()
    assert taken == twin("python", "take_joined")() == b"".join(frames)
    assert len(taken) < module.JOINED_SIZE


@either
def test_c_keeps_no_text_and_no_copy_of_its_UTF_8(name: str) -> None:
    """CPython can keep the UTF-8 of a text in the text: then it takes twice the memory."""
    join = getattr(compiled(), name)
    for text in ("a" * 500, "é" * 500):
        size, count = sys.getsizeof(text), sys.getrefcount(text)
        for _ in range(50):
            assert join(text, 1000)
            assert compiled().take_joined()
            assert not join(text, 3)
        assert (sys.getsizeof(text), sys.getrefcount(text)) == (size, count)


def test_an_interpreter_in_which_a_method_of_str_is_no_function_in_C(tmp_path: Path) -> None:
    """The C code then calls the method, and no error is left of the question. Here the method is
    that of the type ``str``, which is a descriptor."""
    source = tmp_path / "_wire.c"
    source.write_text(
        f'#include "{FOLDER.parent / "compiled.h"}"\n'
        "#define PyUnicode_FromString(text) ((PyObject *)&PyUnicode_Type)\n"
        f'#include "{FOLDER / "_wire.c"}"\n',
        encoding="utf-8",
    )
    extension = imported(built(source, tmp_path / "_wire.abi3.so"), NAME)
    for text in ("ascii", "äöü"):
        assert extension.join_text(text, 100) is True
        assert extension.take_joined() == write_text(text)
