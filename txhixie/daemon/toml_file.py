"""Configuration file of the daemon, in TOML; its keys are the names of the options.

The value of an option that may be repeated is an array; a route may be a table (``[[serve]]``).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from .options import OPTIONS, Said
from .setting import Setting, as_written, find


def read_configuration(path: Path) -> dict[str, list[Said]]:
    """
    Read a configuration file.

    :return: the values, by the names of the options.
    :raises ValueError: for a file that cannot be read, and for a bad option, with the file's name
        and the key.
    """
    try:
        text = path.read_text("utf-8")
        if text.startswith("\ufeff"):
            raise ValueError(
                f"{path}: expected UTF-8 without a byte order mark; save the file without it"
            )
        given = tomllib.loads(text)
    except OSError as error:
        raise ValueError(f"{path}: expected a configuration file: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        quotes = "; write text in quotation marks" if "Invalid value" in str(error) else ""
        raise ValueError(f"{path}: expected TOML: {error}{quotes}") from None
    return {name: _read_key(path, name, value) for name, value in given.items()}


def _read_key(path: Path, name: str, value: object) -> list[Said]:
    try:
        _check_flag(name)
        setting = find(name, OPTIONS, "option")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not (setting.repeated and isinstance(value, list)):
        return [_read(setting, f"{path}: {name}", value)]
    if not value:
        raise ValueError(f"{path}: {name}: expected at least one value")
    return [
        _read(setting, f"{path}: {name}, number {number}", one)
        for number, one in enumerate(value, 1)
    ]


def _check_flag(name: str) -> None:
    """:raises ValueError: for the name that a flag has on the command line only."""
    for setting in OPTIONS:
        if name == setting.option != setting.name:
            raise ValueError(
                f"{name}: expected the name without no-; write {setting.name} = {setting.flagged}"
            )


def _read(setting: Setting, where: str, value: Any) -> Said:
    if not isinstance(value, (dict, list)):
        where = f"{where}: {as_written(value)}"
    try:
        meant = setting.kind.read_toml(value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return Said(where, str(meant) if isinstance(value, dict) else as_written(value), meant)
