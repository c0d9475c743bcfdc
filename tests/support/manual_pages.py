"""Manual pages of the command, made of the tables that ``--help`` is made of.

``PYTHONPATH=tests python -m support.manual_pages`` writes them to ``share/man/man1``. Neither a
date nor a version is in them, so that the same tables always make the same files.
"""

from __future__ import annotations

from argparse import SUPPRESS, Action, ArgumentParser, HelpFormatter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from txhixie.cli.main import COMMANDS, EXAMPLES, Command, parser

TOP: Final = Path(__file__).parents[2]
DIRECTORY: Final = Path("share") / "man" / "man1"


def parsers() -> dict[str, ArgumentParser]:
    """The parser of each command, by the name of the command."""
    program = parser()
    (choices,) = (action.choices for action in program._actions if isinstance(action.choices, dict))
    return choices


def described(action: Action, of: ArgumentParser) -> str:
    """The help of an option, with its default and choices."""
    if action.help in (None, SUPPRESS):
        return ""
    # private: argparse has no public way to expand %(default)s
    return HelpFormatter(of.prog)._expand_help(action)


def takes_value(action: Action) -> bool:
    """Whether an option has a value, and is no flag."""
    return action.nargs != 0


def pages() -> dict[Path, str]:
    """Every page, by its path in the repository."""
    made = {DIRECTORY / "txhixie.1": "\n".join([*_program(), ""])}
    for command in COMMANDS:
        page = "\n".join([*_command(command, parsers()[command.name]), ""])
        made[DIRECTORY / f"txhixie-{command.name}.1"] = page
    return made


def _program() -> Iterator[str]:
    program = parser()
    yield from _head("txhixie", "a WebSocket client, server and diagnosis for every dialect")
    yield from (".SH SYNOPSIS", r"\fBtxhixie\fR \fICOMMAND\fR [\fIOPTIONS\fR] ...")
    yield from (".SH DESCRIPTION", _text(program.description or ""))
    yield ".SH COMMANDS"
    for command in COMMANDS:
        yield from (".TP", rf"\fBtxhixie\-{command.name}\fR(1)", _sentence(command.summary))
    yield ".SH OPTIONS"
    for action in program._actions:
        if action.option_strings:
            yield from _option(action, program)
    yield from _examples(EXAMPLES)
    yield from _see_also([command.name for command in COMMANDS])


def _command(command: Command, of: ArgumentParser) -> Iterator[str]:
    yield from _head(f"txhixie-{command.name}", command.summary)
    # private: argparse has no public list of a parser's actions
    words = [action.metavar for action in of._actions if not action.option_strings]
    arguments = "".join(rf" \fI{word}\fR" for word in words)
    yield from (".SH SYNOPSIS", rf"\fBtxhixie {command.name}\fR [\fIOPTIONS\fR]{arguments}")
    yield from (".SH DESCRIPTION", _text(command.description))
    # private: argparse has no public list of a parser's groups
    for group in of._action_groups:
        # private: nor of a group's actions
        if group._group_actions:
            yield f".SH {(group.title or '').upper()}"
            # private: as above
            for action in group._group_actions:
                yield from _option(action, of)
    yield from _examples(command.module.EXAMPLES)
    yield from (".SH EXIT STATUS", _text(_sentence(command.status)))
    others = [other.name for other in COMMANDS if other is not command]
    yield from _see_also(others, "txhixie", "twistd")


def _head(name: str, summary: str) -> Iterator[str]:
    yield r".\" Made by tests/support/manual_pages.py of the tables of --help."
    yield f'.TH {_text(name).upper()} 1 "" "txhixie" "txhixie"'
    yield from (".SH NAME", rf"{_text(name)} \- {_text(summary)}")


def _option(action: Action, of: ArgumentParser) -> Iterator[str]:
    value = ""
    if takes_value(action):
        value = rf" \fI{_text(str(action.metavar))}\fR"
    names = [rf"\fB{_text(name)}\fR{value}" for name in action.option_strings]
    yield from (".TP", ", ".join(names) or value.strip(), _text(described(action, of)))


def _examples(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield ".SH EXAMPLES"
    for what, line in rows:
        yield from (".PP", _text(what), ".PP", ".RS 4", ".nf", _text(line), ".fi", ".RE")


def _see_also(commands: Sequence[str], *others: str) -> Iterator[str]:
    names = [*(f"txhixie-{name}" for name in commands), *others]
    yield from (".SH SEE ALSO", ", ".join(rf"\fB{_text(name)}\fR(1)" for name in names))


def _text(text: str) -> str:
    """Escape text for roff: a hyphen stays ASCII, as in options, and no line begins a macro."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    return "\n".join(rf"\&{line}" if line[:1] == "." else line for line in escaped.splitlines())


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].removesuffix(".") + "."


if __name__ == "__main__":
    for path, page in pages().items():
        (TOP / path).parent.mkdir(parents=True, exist_ok=True)
        (TOP / path).write_text(page, "utf-8")
