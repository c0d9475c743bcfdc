"""Completion in real shells, on a terminal, by the files that are installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support import third_party
from support.daemon import program
from support.guide_pages import ROOT
from support.shell_completion import files
from support.terminal import on_terminal
from test_setup import told

FILES = files()
BASH, ZSH, FISH = (ROOT / path for path in FILES)
TAB = b"\t"

CASES = [
    (b"txhixie doc", b"txhixie doctor "),
    (b"txhixie connect --reconn", b"txhixie connect --reconnect "),
    (b"txhixie connect --dialect hixie-5", b"txhixie connect --dialect hixie-54 "),
    (b"txhixie serve --stall", b"txhixie serve --stall-timeout "),
]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_each_completion_file_is_generated_from_the_tables(path: Path) -> None:
    anew = "PYTHONPATH=tests python -m support.shell_completion"
    assert (ROOT / path).read_text("utf-8") == FILES[path], f"an option has changed; run {anew}"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_each_completion_file_is_installed(path: Path) -> None:
    assert dict(told("data_files"))[str(path.parent)] == [str(path)]


def shell_named(name: str) -> str:
    """The path of a shell; skips the test if the shell is not installed."""
    return os.fspath(third_party.program(name, get=f"Debian: {name}"))


@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_bash_completes(typed: bytes, completed: bytes) -> None:
    command = [shell_named("bash"), "--norc", "--noprofile", "-i"]
    with on_terminal(command, {"PS1": "ready> ", "TERM": "dumb"}) as shell:
        shell.type(b"source " + os.fsencode(BASH) + b" && echo com''plete\n")
        shell.until(b"\ncomplete")
        shell.type(typed + TAB)
        shell.until(completed)


@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_zsh_completes(typed: bytes, completed: bytes) -> None:
    with on_terminal([shell_named("zsh"), "-f", "-i"], {"TERM": "dumb"}) as shell:
        setup = b"fpath=(%s $fpath); autoload -Uz compinit; compinit -u -D; echo com''plete\n"
        shell.type(b"PS1='ready> '; setopt nobeep; " + setup % os.fsencode(ZSH.parent))
        shell.until(b"\ncomplete")
        shell.type(typed + TAB)
        shell.until(completed)


@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_fish_completes(typed: bytes, completed: bytes, tmp_path: Path) -> None:
    script = f"source {FISH}; complete -C '{typed.decode()}'"
    env = {**os.environ, "HOME": os.fspath(tmp_path), "XDG_CONFIG_HOME": os.fspath(tmp_path)}
    ran = subprocess.run(
        [shell_named("fish"), "-c", script], capture_output=True, text=True, check=True, env=env
    )
    names = [line.split("\t")[0] for line in ran.stdout.splitlines()]
    assert names == [completed.decode().split()[-1]]


def test_zsh_completes_twistd() -> None:
    """zsh's own completion function for Twisted asks twistd for the options."""
    path = f"{Path(program('twistd')).parent}:{os.environ['PATH']}"
    with on_terminal([shell_named("zsh"), "-f", "-i"], {"TERM": "dumb", "PATH": path}) as shell:
        shell.type(b"autoload -Uz compinit; compinit -u -D; setopt nobeep; echo com''plete\n")
        shell.until(b"\ncomplete")
        shell.type(b"twistd hixie --stall-t" + TAB)
        shell.until(b"twistd hixie --stall-timeout")
