"""
Every code block of README.rst, CONTRIBUTING.rst and docs/ is run.

The blocks of a page run in their order, in one directory of the page's own (where
``examples`` leads to the examples), with the programs of the test's environment first in PATH. What
is done with a block depends on its language:

``python``
    A program, run to its end; or, if it begins with ``>>>``, a transcript: it must say what is
    shown.
``console``
    Commands, each after ``$``; what is shown after a command is compared with what it prints (a
    command without output is not). After ``$ python3`` a transcript may follow.
``text``
    What a program of the page prints: the lines are awaited in the output of one of them, in this
    order. Addresses of clients and durations may be others.
anything else, and a literal block after ``::``
    Needs a note, else the test fails: no rule runs the block.

In all of them ``...`` matches any text, and each port that the page prints is replaced by a free
one: 8080, and those the page names with ``.. test: ports 9000 8443``.

A note is a comment before the block, invisible to readers; several may follow each other, and a
long one goes on in indented lines::

    .. test: with twistd -n hixie --port 8080
    .. test: first openssl req -x509 -nodes -newkey rsa:2048 -subj /CN=localhost
        -keyout key.pem -out cert.pem

    .. code-block:: console

        $ curl -s --cacert cert.pem https://localhost:8080/

``with COMMAND``
    Started before the block and kept until the page ends: a peer that the page need not show.
``first COMMAND`` and ``then COMMAND``
    Run to its end before or after the block.
``stays``
    The block's program, or its last command, does not end: a server. It is kept until the page
    ends, and the page goes on once every port that it names is listened on. ``stays 8080`` where
    it names none, or others than its own.
``fails``
    The block's last command ends with another status than 0.
``anew``
    Everything that stays is ended before this block.
``continues``
    This transcript goes on from the one before it on the page.
``saved as NAME``
    The block is a file of any language, for a later block to use.
``shown from PATH``
    The block is cut from a file of the checkout, which has a test of its own.
    A ``literalinclude`` needs no such note. Examples have their tests in test_examples.py.
``taken by PATH``, ``taken by PATH as NAME``
    That test takes the block from the page, by ``support.guide_pages.block(page, name)`` or
    otherwise, and runs it: a configuration file for nginx, say. It has to name the page.
``needs NAME``
    Where ``support.third_party.NAME()`` does not find it, the block is passed over; when the rest
    of the page has run, its test is skipped and says why, or fails, as that function does.
    ``page needs NAME``, before any block, skips the whole page.
``picture``
    A drawing, not code: only ``text`` and literal blocks can be.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support import third_party
from support.guide_pages import PAGES, NobodyRuns, Page, kind, read_page, read_text
from support.page_runner import PageRunner
from support.third_party import missing

every_page = pytest.mark.parametrize("path", PAGES)


@every_page
def test_every_block_is_run_or_has_a_note(path: str) -> None:
    page = read_page(path)
    for block in page.blocks:
        kind(block, page)


@every_page
def test_the_blocks_of_a_page_run_as_shown(path: str, tmp_path: Path) -> None:
    PageRunner(read_page(path), tmp_path).run()


# That these tests would see it.


def page(text: str) -> Page:
    return read_text("docs/page.rst", text)


def story(text: str, directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    PageRunner(page(text), directory).run()


def code(language: str, *lines: str) -> str:
    return "\n".join([f".. code-block:: {language}", "", *(f"    {line}" for line in lines), ""])


@pytest.mark.parametrize(
    "text",
    [
        "So::\n\n    x = 1\n",
        code("ini", "[a]"),
        code("console", "ls"),
        ">>> 1\n2\n",
        ".. test: runs\n\n" + code("python", "1"),
        ".. test: stays\n\nAnd no block.\n",
        ".. test: saved as a.toml\n\n" + code("toml", "a = 1"),
        ".. test: shown from examples/none.py\n\n" + code("python", "1"),
        ".. test: shown from examples/echo.py\n\n" + code("python", "not in it"),
        ".. test: taken by tests/test_readme.py\n\n" + code("nginx", "server {}"),
        ".. test: picture\n\n" + code("python", "1"),
        ".. test: needs nobody\n\n" + code("python", "1"),
        ".. literalinclude:: ../examples/none.py\n",
    ],
)
def test_a_block_that_is_not_run_fails(text: str) -> None:
    with pytest.raises(NobodyRuns):
        [kind(block, page(text)) for block in page(text).blocks]


def test_a_block_that_needs_a_missing_program_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TXHIXIE_REQUIRE", raising=False)
    monkeypatch.setattr(third_party, "nobody", lambda: missing("nobody", "nowhere"), raising=False)
    needs = ".. test: needs nobody\n\n"
    told = [needs + code("console", "$ false"), code("console", "$ touch ran")]
    with pytest.raises(pytest.skip.Exception, match="nobody is not here; get it: nowhere"):
        story("\n".join(told), tmp_path)
    assert (tmp_path / "ran").exists()
    monkeypatch.setenv("TXHIXIE_REQUIRE", "nobody")
    with pytest.raises(pytest.fail.Exception):
        story("\n".join(told), tmp_path / "again")


@pytest.mark.parametrize(
    "text",
    [
        code("python", "raise SystemExit(1)"),
        code("python", ">>> 1 + 1", "3"),
        code("console", "$ false"),
        code("console", "$ echo 1", "2"),
        code("console", "$ python3", ">>> 1 + 1", "3"),
        ".. test: stays\n\n" + code("python", "print(8080)"),
        ".. test: then false\n\n" + code("python", "1"),
        ".. test: with false 8080\n\n" + code("python", "1"),
        code("console", "$ echo Traceback"),
        ".. test: fails\n\n" + code("console", "$ true"),
    ],
)
def test_a_block_that_behaves_otherwise_than_shown_fails(text: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        story(text, tmp_path)


def test_a_server_of_a_block_stays_for_the_later_blocks(tmp_path: Path) -> None:
    told = [
        ".. test: ports 9000\n.. test: saved as word.txt\n\n" + code("text", "hello"),
        ".. test: stays\n\n"
        + code(
            "console",
            "$ ls *.txt",
            "word.txt",
            "$ python3 -m http.server 9000 \\",
            "    -b 127.0.0.1",
        ),
        code(
            "python",
            "import urllib.request",
            "urllib.request.urlopen('http://127.0.0.1:9000/word.txt').read()",
        ),
        code("text", '127.0.0.1 - - [...] "GET /word.txt HTTP/1.1" 200 -'),
        code("python", ">>> seen = 1"),
        ".. test: continues\n\n" + code("python", ">>> seen", "1"),
    ]
    story("\n".join(told), tmp_path)


def test_servers_end_also_before_a_block_that_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the next blocks would connect to the servers of earlier blocks."""
    monkeypatch.setenv("TXHIXIE_REQUIRE", "")
    monkeypatch.setattr(third_party, "txws", lambda: missing("txws", "nowhere"))
    told = [
        ".. test: stays\n\n" + code("console", "$ python3 -m http.server 8080 -b 127.0.0.1"),
        ".. test: needs txws\n.. test: anew\n\n" + code("console", "$ false"),
        code("console", "$ (exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null || echo nobody", "nobody"),
    ]
    with pytest.raises(pytest.skip.Exception, match="nowhere"):
        story("\n".join(told), tmp_path)


def test_a_page_that_needs_a_missing_program_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TXHIXIE_REQUIRE", "")
    monkeypatch.setattr(third_party, "txws", lambda: missing("txws", "nowhere"))
    told = (
        code("console", "$ false") + "\n.. test: page needs txws\n\n" + code("console", "$ false")
    )
    with pytest.raises(pytest.skip.Exception, match="nowhere"):
        story(told, tmp_path)
