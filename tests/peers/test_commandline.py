"""The README's section on proxies, played: the command line, squid, and our daemon with TLS."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support.guide_pages import Block, Page, read_page
from support.page_runner import PageRunner
from support.real_proxies import squid

README = "README.rst"


def taken(name: str) -> Block:
    """The README's block of this name, to be played as if it were nobody's."""
    for block in read_page(README).blocks:
        if f"tests/peers/test_commandline.py as {name}" in block.said("taken by"):
            notes = tuple(note for note in block.notes if note[0] != "taken by")
            return replace(block, notes=notes)
    raise AssertionError(name)


def rules() -> str:
    """What the README's squid has in its file, but for its port, for files elsewhere."""
    lines = taken("squid").text.splitlines()
    assert lines.pop(0) == "http_port 127.0.0.1:3128"
    text = "\n".join([*lines, ""])
    assert "/usr/lib/squid/" in text
    assert "/etc/squid/passwords" in text
    return text.replace("/usr/lib/squid", "{helpers}").replace(
        "/etc/squid/passwords", "{directory}/users"
    )


def test_the_last_step(tmp_path: Path) -> None:
    server = replace(taken("server"), notes=(("stays", ""),))
    with squid(rules=rules()) as proxy:
        page = Page(README, (server, taken("transcript")), (8443, 3128))
        PageRunner(page, tmp_path, ports={3128: proxy.port}).run()
