"""The console page over real loopback connections.

Responses are read as raw bytes: an HTTP client would hide a body after the answer to HEAD.
"""

from __future__ import annotations

import re
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any, TypeVar, cast

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.server import Site

from txhixie.daemon.console import consoleRoot

PAGES = {"/": "console.html", "/2009": "console2009.html"}
KINDS = {"default-src", "script-src", "style-src", "img-src", "connect-src"}
LOCKS = {"base-uri", "form-action", "frame-ancestors"}

Test = TypeVar("Test")

# The cast, since pytest-twisted has no annotations.
onReactor = cast("Callable[[Test], Test]", pytest_twisted.ensureDeferred)
eachPage = pytest.mark.parametrize("path", sorted(PAGES))
eachPath = pytest.mark.parametrize("path", ["/", "/2009", "/nowhere", "/2009/below"])


@dataclass
class Answer:
    """One HTTP response, divided into its status, fields and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def policy(self) -> dict[str, list[str]]:
        """The Content-Security-Policy: sources by directive."""
        directives = (part.split() for part in self.headers["content-security-policy"].split(";"))
        return {name: sources for name, *sources in directives}


def exchange(port: int, request: bytes) -> bytes:
    """Send a request and read until the server closes. Blocks: run it in a thread."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@dataclass
class Served:
    """A site on a loopback port."""

    port: int

    async def ask(self, path: str, method: str = "GET", *fields: str) -> Answer:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *fields]
        request = "\r\n".join([*lines, "", ""]).encode("ascii")
        received = await deferToThread(exchange, self.port, request)
        head, _, body = received.partition(b"\r\n\r\n")
        first, *rest = head.decode("ascii").split("\r\n")
        headers: dict[str, str] = {}
        for line in rest:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, f"{name} came twice"
            headers[name.lower()] = value
        return Answer(int(first.split()[1]), headers, body)


def serve(root: Resource) -> Iterator[Served]:
    site = Site(root)
    listening = cast("Any", reactor).listenTCP(0, site, interface="127.0.0.1")
    yield Served(listening.getHost().port)
    pytest_twisted.blockon(listening.stopListening())


@pytest.fixture
def console() -> Iterator[Served]:
    """The console as a site of its own."""
    yield from serve(consoleRoot())


@pytest.fixture
def below() -> Iterator[Served]:
    """The console as a part of another site, at ``/console/``."""
    root = Resource()
    root.putChild(b"console", consoleRoot())
    yield from serve(root)


class Markup(HTMLParser):
    """The references of a page, its names, and the text of its scripts and styles."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.inline: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(page.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend((tag, name, value or "") for name, value in attrs)

    def handle_data(self, data: str) -> None:
        if self.cdata_elem in self.inline:
            self.inline[self.cdata_elem].append(data)

    def values(self, *names: str) -> set[str]:
        return {value for _, name, value in self.attributes if name in names}


def stored(path: str) -> bytes:
    """The text of a page's file, with LF line ends in every checkout."""
    return (files("txhixie.daemon") / "pages" / PAGES[path]).read_bytes().replace(b"\r\n", b"\n")


@eachPage
@onReactor
async def test_get_answers_the_page(console: Served, path: str) -> None:
    answer = await console.ask(path)
    assert answer.status == 200
    assert answer.body == stored(path)
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@eachPage
@onReactor
async def test_a_query_changes_nothing(console: Served, path: str) -> None:
    assert (await console.ask(path + "?url=ws://localhost/")).body == stored(path)


@eachPath
@onReactor
async def test_every_response_forbids_sniffing_referrers_and_caching(
    console: Served, path: str
) -> None:
    for method in ("GET", "HEAD", "POST"):
        headers = (await console.ask(path, method)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-cache"


@eachPath
@onReactor
async def test_head_answers_as_get_does_without_a_body(console: Served, path: str) -> None:
    get, head = await console.ask(path), await console.ask(path, "HEAD")
    assert head.body == b""
    assert head.status == get.status
    assert int(head.headers["content-length"]) == len(get.body) > 0
    for headers in (get.headers, head.headers):
        headers.pop("date")
    assert head.headers == get.headers


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/favicon.ico", "/2009/", "/2009/below", "//", "/console.html", "/%2e%2e/2009"],
)
@onReactor
async def test_every_other_path_is_a_short_plain_404(console: Served, path: str) -> None:
    answer = await console.ask(path)
    assert answer.status == 404
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.body.isascii()
    assert 0 < len(answer.body) < 100


@onReactor
async def test_a_404_repeats_nothing_of_the_request(console: Served) -> None:
    answer = await console.ask("/%3Cb%3Ename", "GET", "Referer: b>name")
    assert answer.status == 404
    assert b"name" not in answer.body


@eachPath
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW", "get"])
@onReactor
async def test_every_other_method_is_a_405_that_allows_GET_and_HEAD(
    console: Served, path: str, method: str
) -> None:
    answer = await console.ask(path, method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert 0 < len(answer.body) < 100


@eachPage
@onReactor
async def test_the_policy_names_every_kind_of_source_and_starts_from_none(
    console: Served, path: str
) -> None:
    policy = (await console.ask(path)).policy
    assert policy.keys() == KINDS | LOCKS
    assert policy["default-src"] == ["'none'"]
    assert all(policy[lock] == ["'none'"] for lock in LOCKS)


@eachPage
@onReactor
async def test_the_policy_lets_websockets_go_anywhere_and_nothing_else(
    console: Served, path: str
) -> None:
    policy = (await console.ask(path)).policy
    assert policy["connect-src"] == ["ws:", "wss:"]
    assert policy["img-src"] == ["data:"]


@eachPage
@onReactor
async def test_the_policy_hashes_what_the_page_has_inline(console: Served, path: str) -> None:
    answer = await console.ask(path)
    for element, texts in Markup(answer.body).inline.items():
        digests = [b64encode(sha256(text.encode("utf-8")).digest()).decode() for text in texts]
        assert len(digests) == 1
        sources = [s for s in answer.policy[f"{element}-src"] if s != "'unsafe-inline'"]
        assert sources == [f"'sha256-{digest}'" for digest in digests]


@onReactor
async def test_the_console_itself_allows_no_inline_code_by_name(console: Served) -> None:
    assert "unsafe" not in (await console.ask("/")).headers["content-security-policy"]


@onReactor
async def test_the_page_of_2009_also_runs_where_policies_know_no_hashes(console: Served) -> None:
    policy = (await console.ask("/2009")).policy
    assert policy["script-src"][0] == policy["style-src"][0] == "'unsafe-inline'"


@onReactor
async def test_a_404_may_load_and_run_nothing(console: Served) -> None:
    assert (await console.ask("/nowhere")).policy == {
        name: ["'none'"] for name in LOCKS | {"default-src"}
    }


@eachPage
def test_the_page_needs_no_outside_resource(path: str) -> None:
    page = stored(path)
    markup = Markup(page)
    assert not re.search(rb"https?://|//[a-z0-9-]+\.[a-z]", page, re.IGNORECASE)
    assert not re.search(rb"@import|url\(|\bfetch\(|XMLHttpRequest|EventSource", page)
    assert not markup.values("src", "srcset", "action", "formaction", "background") - {"#"}
    references = {v for v in markup.values("href") if not v.startswith("data:image/png;base64,")}
    assert references == {"2009" if path == "/" else "./"}
    assert not {"iframe", "object", "embed", "base", "img"} & set(markup.tags)


@eachPage
def test_the_page_has_no_attribute_that_the_policy_would_block(path: str) -> None:
    names = {name for _, name, _ in Markup(stored(path)).attributes}
    assert "style" not in names
    assert not [name for name in names if name.startswith("on")]


@eachPage
def test_the_page_never_makes_markup_of_text(path: str) -> None:
    page = stored(path)
    assert not re.search(
        rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|Function\(",
        page,
    )


@pytest.mark.parametrize(("path", "atMost"), [("/", 48 * 1024), ("/2009", 16 * 1024)])
def test_the_page_is_small(path: str, atMost: int) -> None:
    assert 4 * 1024 < len(stored(path)) < atMost


@eachPage
def test_the_page_declares_utf_8_within_its_first_kilobyte(path: str) -> None:
    page = stored(path)
    page.decode("utf-8")
    assert b"charset" in page[:1024]


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        (
            "/",
            (
                "url subprotocol connect disconnect message send log state dialect protocol "
                "extensions latency closecode closereason"
            ),
        ),
        ("/2009", "url connect message send close log state dialect latency"),
    ],
)
def test_the_page_has_the_elements_that_people_automate(path: str, ids: str) -> None:
    named = [value for _, name, value in Markup(stored(path)).attributes if name == "id"]
    assert set(ids.split()) <= set(named)
    assert len(named) == len(set(named)), "an id is there twice"


@eachPage
def test_every_field_has_a_label(path: str) -> None:
    markup = Markup(stored(path))
    assert markup.values("for") <= markup.values("id")
    fields = {"url", "message"} | ({"subprotocol", "hex", "file", "code"} if path == "/" else set())
    assert fields <= markup.values("for")


@onReactor
async def test_the_log_of_the_console_is_read_out(console: Served) -> None:
    attributes = Markup((await console.ask("/")).body).attributes
    assert ("div", "aria-live", "polite") in attributes
    assert ("div", "role", "log") in attributes


def test_the_page_of_2009_is_written_in_the_language_of_2009() -> None:
    page = stored("/2009")
    assert page.startswith(b'<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN">')
    (script,) = Markup(page).inline["script"]
    code = re.sub(r'//[^\n]*|"[^"\n]*"', "", script)
    for younger in (
        r"\b(const|let|class|async|await|yield|of)\b",
        r"=>|`|\.\.\.|\?\?|\?\.",
        r"\b(classList|dataset|addEventListener|JSON|performance|Promise|Map|Set|fetch)\b",
        r"\b(querySelector\w*|textContent|append|remove|replaceChildren|forEach|map|filter)\(",
        r"\.(bind|trim|keys|isArray|indexOf)\(|,\s*[}\]]",
    ):
        assert not re.search(younger, code), younger
    (style,) = Markup(page).inline["style"]
    assert not re.search(r"flex|grid|var\(|calc\(|@media|--", style)


def test_the_page_of_2009_knows_the_name_that_firefox_gave_and_a_browser_without() -> None:
    page = stored("/2009")
    assert b"window.WebSocket || window.MozWebSocket" in page
    assert b"This browser has no WebSocket" in page


@onReactor
async def test_the_console_can_be_a_part_of_another_site(below: Served) -> None:
    assert (await below.ask("/console/")).body == stored("/")
    assert (await below.ask("/console/2009")).body == stored("/2009")
    assert (await below.ask("/console/nowhere")).status == 404


def test_each_call_makes_a_resource_of_its_own() -> None:
    assert consoleRoot() is not consoleRoot()
