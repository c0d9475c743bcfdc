"""Completion of the command's options in bash, zsh and fish, made of the tables of ``--help``.

``PYTHONPATH=tests python -m support.shell_completion`` writes the files below ``share``. Each is
where its shell looks for completions of programs that are not its own.
"""

from __future__ import annotations

import re
from argparse import Action, ArgumentParser
from collections.abc import Iterator
from pathlib import Path

from support.manual_pages import TOP, described, parsers, takes_value
from txhixie.cli.main import COMMANDS

_ORIGIN = "# Made by tests/support/shell_completion.py of the tables of --help."
_FLAGS = {"--help": "show the help", "--version": "show the version"}


def files() -> dict[Path, str]:
    """Every file, by its path in the repository."""
    share = Path("share")
    made = {
        share / "bash-completion" / "completions" / "txhixie": _bash(),
        share / "zsh" / "site-functions" / "_txhixie": _zsh(),
        share / "fish" / "vendor_completions.d" / "txhixie.fish": _fish(),
    }
    return {path: "\n".join([*lines, ""]) for path, lines in made.items()}


def _options(of: ArgumentParser) -> list[Action]:
    # private: argparse has no public list of a parser's actions
    return [action for action in of._actions if action.option_strings]


def _long(action: Action) -> str:
    return next(name for name in action.option_strings if name.startswith("--"))


def _summary(action: Action, of: ArgumentParser) -> str:
    """The first sentence of the help, without its full stop."""
    return re.split(r"\. |\.$", described(action, of))[0]


def _is_file(action: Action) -> bool:
    return action.metavar == "FILE"


# bash


def _bash() -> Iterator[str]:
    names = [command.name for command in COMMANDS]
    yield from (
        f"# bash completion of txhixie. {_ORIGIN[2:]}",
        "_txhixie() {",
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}",
        "    # bash makes three words of --name=value.",
        "    if [ \"$cur\" = '=' ]; then",
        "        cur=",
        "    elif [ \"$prev\" = '=' ]; then",
        "        prev=${COMP_WORDS[COMP_CWORD-2]}",
        "    fi",
        "    COMPREPLY=()",
        '    if [ "$COMP_CWORD" -eq 1 ]; then',
        f"        COMPREPLY=($(compgen -W '{' '.join([*names, *_FLAGS])}' -- \"$cur\"))",
        "        return",
        "    fi",
        "    case ${COMP_WORDS[1]} in",
    )
    for command in COMMANDS:
        yield from (f"        {command.name})", '            case "$prev" in')
        options = _options(parsers()[command.name])
        for action in options:
            if takes_value(action):
                yield f"                {'|'.join(action.option_strings)}) {_bash_value(action)} ;;"
        words = " ".join(_long(action) for action in options)
        yield from (
            "            esac",
            f"            COMPREPLY=($(compgen -W '{words}' -- \"$cur\"))",
            "            ;;",
        )
    yield from ("    esac", "}", "complete -F _txhixie txhixie")


def _bash_value(action: Action) -> str:
    if action.choices:
        return f"COMPREPLY=($(compgen -W '{' '.join(action.choices)}' -- \"$cur\")); return"
    if _is_file(action):
        return 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return'
    return "return"


# zsh


def _zsh() -> Iterator[str]:
    yield from (
        "#compdef txhixie",
        _ORIGIN,
        "local curcontext=$curcontext state line",
        "typeset -A opt_args",
        "_arguments -C \\",
        *(f"    '(- *){name}[{meaning}]' \\" for name, meaning in _FLAGS.items()),
        "    '1: :->command' '*:: :->arguments'",
        "case $state in",
        "    command)",
        "        local -a commands=(",
        *(f"            '{command.name}:{_quoted(command.summary)}'" for command in COMMANDS),
        "        )",
        "        _describe command commands",
        "        ;;",
        "    arguments)",
        "        case $words[1] in",
    )
    for command in COMMANDS:
        of = parsers()[command.name]
        yield from (f"            {command.name})", "                _arguments \\")
        for action in _options(of):
            yield f"                    {_zsh_option(action, of)} \\"
        # private: as above
        arguments = [action for action in of._actions if not action.option_strings]
        ending = f"'1:{arguments[0].metavar}:_urls'" if arguments else ""
        yield from (f"                    {ending}".rstrip() or "", "                ;;")
    yield from ("        esac", "        ;;", "esac")


def _zsh_option(action: Action, of: ArgumentParser) -> str:
    names = action.option_strings
    value = ""
    if takes_value(action):
        how = f"({' '.join(action.choices)})" if action.choices else " "
        value = f":{_quoted(str(action.metavar))}:{'_files' if _is_file(action) else how}"
    summary = _quoted(_summary(action, of)).replace("[", r"\[").replace("]", r"\]")
    isRepeated = isinstance(action.default, list) or "May be repeated" in described(action, of)
    before = "*" if isRepeated else f"({' '.join(names)})"
    name = names[0] if len(names) == 1 else f"'{{{','.join(names)}}}'"
    return f"'{before}{name}[{summary}]{value}'"


def _quoted(text: str) -> str:
    """Text between single quotes, in which a colon is none of zsh's separators."""
    return text.replace("'", "'\\''").replace(":", r"\:")


# fish


def _fish() -> Iterator[str]:
    yield from (_ORIGIN, "complete -c txhixie -f")
    for name, meaning in _FLAGS.items():
        yield f"complete -c txhixie -n __fish_use_subcommand -l {name[2:]} -d '{meaning}'"
    for command in COMMANDS:
        summary = _fish_quoted(command.summary)
        yield f"complete -c txhixie -n __fish_use_subcommand -a {command.name} -d '{summary}'"
    for command in COMMANDS:
        of = parsers()[command.name]
        only = f"complete -c txhixie -n '__fish_seen_subcommand_from {command.name}'"
        for action in _options(of):
            yield f"{only} {_fish_option(action, of)}"


def _fish_option(action: Action, of: ArgumentParser) -> str:
    words = [
        f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
        for name in action.option_strings
    ]
    if takes_value(action):
        words.append("-r -F" if _is_file(action) else "-x")
    if action.choices:
        words.append(f"-a '{' '.join(action.choices)}'")
    return " ".join([*words, f"-d '{_fish_quoted(_summary(action, of))}'"])


def _fish_quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


if __name__ == "__main__":
    for path, text in files().items():
        (TOP / path).parent.mkdir(parents=True, exist_ok=True)
        (TOP / path).write_text(text, "utf-8")
