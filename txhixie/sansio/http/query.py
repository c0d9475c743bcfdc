"""The query of a request target, as form fields."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import unquote_plus

MOST_PARTS: Final = 1000
"""Most fields of a query, and most cookies, that are read. Pages of today send 20; a head of 16 KiB
has room for 8,000."""


def read_query(target: str) -> dict[str, list[str]]:
    """
    Return the query of a target as form fields, percent-decoded: each name with all its values.

    Values keep their order. Bytes that are not UTF-8 become U+FFFD. Of more than 1,000 fields only
    the first 1,000 are read.
    """
    found: dict[str, list[str]] = {}
    for part in target.partition("?")[2].split("&", MOST_PARTS)[:MOST_PARTS]:
        if part:
            name, _, value = part.partition("=")
            found.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return found


def without_parameters(target: str, names: Collection[str]) -> str:
    """
    Return a target without the fields of its query that have some names.

    The other fields are unchanged, and a query without any field left is removed with its ``?``.

    :param target: path and query.
    :param names: names of form fields, percent-decoded.
    """
    path, _, query = target.partition("?")
    parts = query.split("&")
    kept = [part for part in parts if unquote_plus(part.partition("=")[0]) not in names]
    if len(kept) == len(parts):
        return target
    return f"{path}?{'&'.join(kept)}" if any(kept) else path
