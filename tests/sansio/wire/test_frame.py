"""The words all framings share."""

from __future__ import annotations

from support.frames import NO_CODE
from txhixie.sansio.wire import frame
from txhixie.sansio.wire.frame import Close, CloseCode, Opcode


def test_opcodes_are_the_numbers_of_rfc_6455() -> None:
    """Opcodes are the numbers on the wire, and plain integers."""
    numbers = [getattr(Opcode, name) for name in vars(Opcode) if name.isupper()]
    assert numbers == [0, 1, 2, 8, 9, 10]
    assert {type(number) for number in numbers} == {int}


def test_short_names_of_opcodes_are_the_same_numbers() -> None:
    """The hot path uses the short names, and other code the members of the enumeration."""
    short = {name: value for name, value in vars(frame).items() if name.isupper()}
    assert short.pop("MOST_CONTROL") == 125
    assert short.pop("OPCODE_NAMES").keys() == set(short.values()) - {125, -1}
    assert short.pop("SKIPPED") == -1  # no opcode: a frame that is discarded
    assert short == {name: getattr(Opcode, name) for name in vars(Opcode) if name.isupper()}


def test_close_codes_are_those_of_the_registry() -> None:
    """RFC 6455 section 7.4.1; 1004 and 1015 are neither sent nor reported."""
    codes = {value for name, value in vars(CloseCode).items() if name.isupper()}
    assert codes == {*range(1000, 1015)} - {1004}


def test_a_close_needs_no_reason() -> None:
    """And compares by what it says."""
    assert Close(NO_CODE) == (1005, "")
