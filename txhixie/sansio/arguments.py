"""Checks of arguments: a wrong type raises a TypeError that says what to write instead.

The texts of these errors never repeat a value: a header, a subprotocol or a URL may contain a
credential.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeVar

T = TypeVar("T")


def whole_text(option: str, value: object) -> str:
    """
    Return a value that has to be a string.

    :raises TypeError: for another type; ``bytes`` are not decoded, since their encoding is unknown.
    """
    if not isinstance(value, str):
        raise TypeError(f"{option}: expected str, not {_kind(value)}")
    return value


def not_text(value: object) -> TypeError:
    """Make the error for a text message that is no ``str``, with what to write instead."""
    hint = ""
    if isinstance(value, bytes | bytearray | memoryview):
        hint = "; sendBytesMessage sends bytes"
    elif isinstance(value, dict | list):
        hint = "; write json.dumps(...)"
    return TypeError(f"a text message: expected str, not {_kind(value)}{hint}")


class ForeignName:
    """
    A class attribute for a name that other libraries have; reading it raises ``AttributeError``.

    A descriptor for each name, and not ``__getattr__``: in CPython 3.11 a class with
    ``__getattr__`` loses the specialised reads of all its attributes, and a message of 128 bytes
    took 0.2 us more.
    """

    def __init__(self, name: str, advice: str) -> None:
        """
        :param advice: what to write instead.
        """
        self._name = name
        self._advice = advice

    def __get__(self, instance: object, owner: type) -> NoReturn:
        raise AttributeError(
            f"{owner.__name__!r} object has no attribute {self._name!r}; write {self._advice}"
        )


def foreign_names(names: Mapping[str, str]) -> Callable[[type[T]], type[T]]:
    """
    Make a class decorator that adds a :class:`ForeignName` for each name.

    :param names: what to write instead, by names that other libraries have for the same thing.
    """

    def add(owner: type[T]) -> type[T]:
        for name, advice in names.items():
            setattr(owner, name, ForeignName(name, advice))
        return owner

    return add


def several(option: str, values: Iterable[T], example: str) -> tuple[T, ...]:
    """
    Return all values of an iterable as a tuple.

    :param example: example of a valid argument, for the error.
    :raises TypeError: for a string, which is an iterable of characters, and for an object that is
        not iterable.
    """
    if isinstance(values, str | bytes | bytearray) or not isinstance(values, Iterable):
        raise TypeError(f"{option}: expected a list, not {_kind(values)}; write {option}={example}")
    return tuple(values)


def strings(option: str, values: Iterable[str], example: str) -> tuple[str, ...]:
    """
    Return all strings of an iterable as a tuple.

    :param example: example of a valid argument, for the error.
    :raises TypeError: as :func:`several`, and for a value that is not ``str``.
    """
    found = several(option, values, example)
    for index, value in enumerate(found):
        if not isinstance(value, str):
            raise TypeError(
                f"{option}[{index}]: expected str, not {_kind(value)}; write {option}={example}"
            )
    return found


def instance(option: str, value: T, kind: type[T]) -> T:
    """
    Return a value that has to be an instance of a class.

    :raises TypeError: for another type.
    """
    if not isinstance(value, kind):
        name = kind.__name__
        raise TypeError(f"{option}: expected {name}, not {_kind(value)}; write {name}(...)")
    return value


_SCALARS: Final[dict[type, tuple[str, tuple[type, ...]]]] = {
    bool: ("bool", (bool,)),
    int: ("int", (int,)),
    float: ("a number", (int, float)),
    str: ("str", (str,)),
}


def scalars(kind: type[bool | float | str], **options: object) -> None:
    """
    Check options of one scalar type, each by its name.

    :param kind: ``bool``, ``int``, ``float`` (which takes ``int`` too) or ``str``. A ``bool`` is no
        number here.
    :raises TypeError: for a value of another type.
    """
    expected, kinds = _SCALARS[kind]
    for option, value in options.items():
        if isinstance(value, kinds) and (kind is bool or not isinstance(value, bool)):
            continue
        hint = f"; write {option}=True or {option}=False" if kind is bool else ""
        raise TypeError(f"{option}: expected {expected}, not {_kind(value)}{hint}")


def word(option: str, value: str, choices: Sequence[str]) -> str:
    """
    Check an option that has a few words as its values.

    :raises TypeError: for a value of another type.
    :raises ValueError: for another word.
    """
    expected = " or ".join(map(repr, choices))
    if not isinstance(value, str):
        raise TypeError(f"{option}: expected {expected}, not {_kind(value)}")
    if value not in choices:
        raise ValueError(f"{option}: expected {expected}")
    return value


def local_address(option: str, value: object) -> None:
    """
    An address of this machine, or an address and a port, or ``None``.

    :raises TypeError: for anything else.
    """
    pair = value if isinstance(value, tuple) and len(value) == 2 else (value, 0)
    if value is not None and [isinstance(pair[0], str), type(pair[1])] != [True, int]:
        example = f'{option}="192.0.2.1" or {option}=("192.0.2.1", 0)'
        raise TypeError(
            f"{option}: expected an address or an address and a port, not {_kind(value)}; "
            f"write {example}"
        )


def without_iterators(options: Mapping[str, Any]) -> Any:
    """
    Return options in which each iterator, such as a generator, is replaced by a tuple.

    The options are used more than once, and an iterator can be iterated only once.
    """
    return {
        option: tuple(value) if isinstance(value, Iterator) else value
        for option, value in options.items()
    }


def whole_bytes(name: str, data: object, expected: str = "bytes") -> bytes:
    """
    Return a copy of a bytes-like object as bytes.

    An array of wide items or a memoryview with gaps is copied as all its bytes in their order,
    since ``len()`` counts items and a frame has to count bytes. A copy cannot change while it waits
    to be sent.

    :param expected: expected types, for the error.
    :raises TypeError: for an object that is not bytes-like.
    """
    try:
        return memoryview(data).tobytes()  # type: ignore[arg-type]  # memoryview raises TypeError for an object that is no buffer
    except TypeError:
        hint = ""
        if isinstance(data, str) and "message" in name:
            hint = "; sendTextMessage sends str"
        elif isinstance(data, dict | list) and "message" in name:
            hint = "; write json.dumps(...)"
        raise TypeError(f"{name}: expected {expected}, not {_kind(data)}{hint}") from None


def close_arguments(code: object, reason: object) -> None:
    """
    Check the types of a close code and a close reason.

    :raises TypeError: for a code that is not ``int`` or a reason that is not ``str``.
    """
    if not isinstance(code, int):
        raise TypeError(f"code: expected int, not {_kind(code)}; write (1000, reason)")
    whole_text("reason", reason)


def _kind(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return "None" if value is None else type(value).__name__
