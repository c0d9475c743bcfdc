"""Private names of the package in tests: each has a reason, in a comment that begins ``private:``.

Private names of other libraries are those of ``test_private_names.py``, which says what is expected
of each, and those below, which only tests need.
"""

from __future__ import annotations

import ast
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from twisted.internet.ssl import trustRootFromCertificates
from twisted.web import websocket
from twisted.web.resource import Resource
from twisted.web.server import Site

from support.certificates import authority
from test_private_names import PINNED, is_private

TESTS: Final = Path(__file__).parent
FILES: Final = sorted(path.relative_to(TESTS).as_posix() for path in TESTS.rglob("*.py"))

EXEMPT: Final = {"test_private_names.py", "test_private_pokes.py"}
"""The tests of private names, which contain these names as data."""

PUBLIC: Final = {"_exit"}
"""``os._exit``, which is documented."""

OF_OTHERS: Final = {
    "_actions": "ArgumentParser",
    "_caCerts": "what trustRootFromCertificates returns",
    "_logDateTime": "HTTPFactory",
    "_logFile": "HTTPFactory",
    "_logFormatter": "HTTPFactory",
    "_websocket_impl": "twisted.web",
}
"""Private names of other libraries that only tests need, with the library of each."""

BY_NAME: Final = ("delattr", "getattr", "hasattr", "setattr")


def pokes_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The lines and names where a file uses a private name of another object."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if ast.unparse(node.value) not in ("self", "cls", "super()"):
                yield node.lineno, node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in BY_NAME:
            yield from ((node.lineno, str(ast.literal_eval(name))) for name in strings_of(node))
        elif isinstance(node, ast.ImportFrom):
            words = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from ((node.lineno, word) for word in words)


def strings_of(call: ast.Call) -> list[ast.Constant]:
    """The literal strings among the arguments of a call, and the last name of a dotted one."""
    found = [each for each in call.args if isinstance(each, ast.Constant)]
    return [
        ast.Constant(each.value.rpartition(".")[2]) for each in found if isinstance(each.value, str)
    ]


def unexplained(text: str) -> list[str]:
    """The uses of private names without a reason on their line, or alone on the line above."""
    lines = ["", *text.splitlines()]
    return [
        f"line {line}: {name}"
        for line, name in pokes_of(ast.parse(text))
        if is_private(name)
        and name not in PUBLIC | PINNED.keys() | OF_OTHERS.keys()
        and "# private: " not in lines[line]
        and not lines[line - 1].lstrip().startswith("# private: ")
    ]


@pytest.mark.parametrize("file", [file for file in FILES if file not in EXEMPT])
def test_a_private_name_in_a_test_has_its_reason(file: str) -> None:
    assert unexplained((TESTS / file).read_text("utf-8")) == [], (
        "use a public name, an effect, or support/private_state.py; otherwise write the reason in "
        "a comment '# private: ...' on the line, or alone on the line above"
    )


@pytest.mark.parametrize("file", [file for file in FILES if file not in EXEMPT])
def test_a_reason_is_at_the_line_of_a_private_name(file: str) -> None:
    text = (TESTS / file).read_text("utf-8")
    if "# private: " in text:
        lines = {line for line, name in pokes_of(ast.parse(text)) if is_private(name)}
        reasons = [n for n, words in enumerate(text.splitlines(), 1) if "# private: " in words]
        assert [line for line in reasons if not {line, line + 1} & lines] == []


@pytest.mark.parametrize(
    "poke",
    [
        "connection._paused",
        "connection.other._paused = 1",
        'getattr(connection, "_paused")',
        'patch.setattr("txhixie.connection.protocol._paused", 1)',
        "from txhixie.connection.protocol import _paused",
        "# public: no reason\nconnection._paused",
    ],
)
def test_a_private_name_without_a_reason_is_found(poke: str) -> None:
    assert [words.split()[-1] for words in unexplained(poke)] == ["_paused"]


@pytest.mark.parametrize(
    "line",
    [
        "connection._paused  # private: a reason",
        "# private: a reason\nconnection._paused",
        "self._paused = 1",
        "connection.paused",
        "offer._replace(path=1)",
    ],
)
def test_a_private_name_with_a_reason_passes(line: str) -> None:
    assert unexplained(line) == []


def test_every_private_name_of_other_libraries_in_tests_is_listed() -> None:
    used = {
        name
        for file in FILES
        if file not in EXEMPT
        for _, name in pokes_of(ast.parse((TESTS / file).read_text("utf-8")))
    }
    assert used >= OF_OTHERS.keys()
    assert not OF_OTHERS.keys() & PINNED.keys()


# What is expected of each.


def test_a_Site_writes_its_log_to_a_file_with_the_date_that_a_timer_sets() -> None:
    site: Any = Site(Resource())
    assert site._logDateTime is None
    assert callable(site._logFormatter)
    assert isinstance(site, Site)
    assert hasattr(site, "_logFile") or not site.logPath


def test_a_parser_of_arguments_keeps_its_actions() -> None:
    parser = ArgumentParser()
    action = parser.add_argument("--option")
    assert parser._actions[-1] is action


def test_Twisted_keeps_the_certificates_that_it_trusts() -> None:
    trusted: Any = trustRootFromCertificates([])
    assert trusted._caCerts == []
    assert authority().pem.startswith(b"-----BEGIN CERTIFICATE")


def test_the_module_behind_Twisteds_WebSocket_has_its_classes() -> None:
    """Without these classes, a test with Twisted as the peer cannot count the bytes that Twisted
    receives."""
    from twisted.web import _websocket_impl

    assert websocket.WebSocketProtocol is _websocket_impl.WebSocketProtocol
