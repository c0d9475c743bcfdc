"""The grammar of UTF-8 in RFC 3629 section 4, with valid and invalid samples."""

from __future__ import annotations

from typing import Final

_TAIL = (0x80, 0xBF)
_LEADS: Final[tuple[tuple[tuple[int, int], ...], ...]] = (
    ((0x00, 0x7F),),
    ((0xC2, 0xDF), _TAIL),
    ((0xE0, 0xE0), (0xA0, 0xBF), _TAIL),
    ((0xE1, 0xEC), _TAIL, _TAIL),
    ((0xED, 0xED), (0x80, 0x9F), _TAIL),
    ((0xEE, 0xEF), _TAIL, _TAIL),
    ((0xF0, 0xF0), (0x90, 0xBF), _TAIL, _TAIL),
    ((0xF1, 0xF3), _TAIL, _TAIL, _TAIL),
    ((0xF4, 0xF4), (0x80, 0x8F), _TAIL, _TAIL),
)
"""``UTF8-octets``: for each kind of character, the range of each of its bytes."""


def first_wrong(data: bytes) -> int | None:
    """
    Where it is certain that this is no UTF-8: the index of the first byte that nothing can come of,
    the length if it ends inside a character, ``None`` if it is UTF-8.
    """
    due: list[tuple[int, int]] = []
    for index, byte in enumerate(data):
        if due:
            low, high = due.pop(0)
            if not low <= byte <= high:
                return index
            continue
        kinds = [kind for kind in _LEADS if kind[0][0] <= byte <= kind[0][1]]
        if not kinds:
            return index
        due = list(kinds[0][1:])
    return len(data) if due else None


def _hex(*lines: str) -> list[bytes]:
    return [bytes.fromhex(line) for line in lines]


GOOD: Final = [
    *_hex("", "00", "7f", "c280", "dfbf", "e0a080", "efbfbf", "efbfbd", "efbfbe", "efb790"),
    *_hex("ed9fbf", "ee8080", "f0908080", "f48fbfbf", "f09fbfbf", "f3bfbfbe", "efbbbf41"),
    "κόσμε".encode(),
    "Hello-µ@ßöäüàá-UTF-8!!".encode(),
    "日本語 😀 e\u0301".encode(),
]
"""The first and the last of every kind, noncharacters, a byte-order mark, and words."""

_FIRST = _hex("c280", "e0a080", "f0908080", "efbfbd", "f48fbfbf")
BAD: Final = [
    *_hex("80", "bf", "80bf", "80bf80bf80bf"),  # continuations of nothing
    *_hex(*[f"{lead:02x}20" for lead in (0xC2, 0xDF, 0xE0, 0xEF, 0xF0, 0xF4)]),  # leads alone
    *_hex("c0", "c1", "f5", "f7", "f8", "fb", "fc", "fd", "fe", "ff", "fefeffff"),  # never there
    *_hex("c080", "c0af", "c1bf", "e080af", "e09fbf", "f08080af", "f08fbfbf"),  # overlong
    *_hex("f8808080af", "fc80808080af", "f887bfbfbf", "fc83bfbfbfbf"),  # overlong in old forms
    *_hex("eda080", "edad7f", "edadbf", "edae80", "edaf80", "edb080", "edbe80", "edbfbf"),
    *_hex("eda080edb080", "edafbfedbfbf", "cebae1bdb9cf83cebcceb5eda080656469746564"),  # pairs
    *_hex("f4908080", "f490bfbf", "f7bfbfbf", "f888808080", "fbbfbfbfbf", "fc8480808080"),
    *[char[:end] for char in _FIRST for end in range(1, len(char))],  # cut short
    *[char[:-1] + b"x" for char in _FIRST],
    *[b"ok " + char[:-1] + char for char in _FIRST],
    *_hex("61c328", "cebae1bdb9cf83cebcceb5f4908080656469746564", "e697e697a5"),
]
"""Samples of Markus Kuhn's stress test and of the Autobahn testsuite, and the edges of RFC 3629."""


def certain(data: bytes) -> int:
    """Where one of the bad samples fails."""
    wrong = first_wrong(data)
    assert wrong is not None
    return wrong
