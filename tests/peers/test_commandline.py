"""The guide's page on squid: its commands run with the client, squid and a TLS server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support.guide_pages import Block, Page, read_page
from support.page_runner import PageRunner
from support.real_proxies import squid

PAGE = "docs/howto/squid.rst"


def taken(name: str) -> Block:
    """The page's block of this name, without its note, so that PageRunner runs it."""
    for block in read_page(PAGE).blocks:
        if f"tests/peers/test_commandline.py as {name}" in block.said("taken by"):
            notes = tuple(note for note in block.notes if note[0] != "taken by")
            return replace(block, notes=notes)
    raise AssertionError(name)


def rules() -> str:
    """The page's configuration of squid without its port, with the paths as placeholders."""
    lines = taken("squid").text.splitlines()
    assert lines.pop(0) == "http_port 127.0.0.1:3128"
    text = "\n".join([*lines, ""])
    assert "/usr/lib/squid/" in text
    assert "/etc/squid/passwords" in text
    return text.replace("/usr/lib/squid", "{helpers}").replace(
        "/etc/squid/passwords", "{directory}/users"
    )


def test_the_commands_of_the_page_print_what_the_page_shows(tmp_path: Path) -> None:
    server = replace(taken("server"), notes=(("stays", ""),))
    with squid(rules=rules()) as proxy:
        page = Page(PAGE, (server, taken("transcript")), (8443, 3128))
        PageRunner(page, tmp_path, ports={3128: proxy.port}).run()
