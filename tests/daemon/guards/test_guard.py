"""Guards of a route: which clients they let in, over real connections."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.web.resource import Resource

from support.applications import Answering, Applications, Recorder
from support.handshake_bytes import body_of, status_of, whole_request
from support.network import Network
from support.waiting import asynchronous, reactor, until
from txhixie import Accepted, CleanClose, Refusal
from txhixie.daemon.dispatch import Guarded, PageSite, RoutedApplications, RoutedPages
from txhixie.daemon.dispatch import RoutedServerFactory as Factory
from txhixie.daemon.guards.guard import Answer, Guard, OneOf, Permit, ask
from txhixie.daemon.guards.visitor import Visitor
from txhixie.daemon.routes import Route, Routes


class Word(Guard):
    """A guard that asks for a word in the query, or in a field ``X-Word``."""

    usedHeaders = frozenset({b"x-word"})
    usedParameters = frozenset({"word"})

    def __init__(self, word: str, realm: str = "here", later: float | None = None) -> None:
        self.challenges = ((b"WWW-Authenticate", b'Word realm="%b"' % realm.encode()),)
        self._word = word
        self._later = later
        self.asked: list[Visitor] = []
        self.cancelled = 0

    def hasCredentials(self, visitor: Visitor) -> bool:
        """Whether the request has a word."""
        return bool(self._words(visitor))

    def check(self, visitor: Visitor) -> Answer | Deferred[Answer]:
        """Compare the word, at once or after some seconds."""
        self.asked.append(visitor)
        right = self._word in self._words(visitor)
        answer: Answer = Permit() if right else Refusal(401, "what word?\n", self.challenges)
        if self._later is None:
            return answer
        waiting: Deferred[Answer] = Deferred(self._cancel)
        self._call = reactor.callLater(self._later, waiting.callback, answer)
        return waiting

    def _cancel(self, waiting: Deferred[Any]) -> None:
        self.cancelled += 1
        self._call.cancel()
        waiting.errback(CancelledError())

    def _words(self, visitor: Visitor) -> list[str]:
        header = visitor.header("X-Word")
        return [*visitor.parameter("word"), *([] if header is None else [header])]


class Page(Resource):
    """A page below its route."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """A fixed text."""
        return b"the page"


def factory(service: Any, *guards: Guard, passed: frozenset[bytes] = frozenset()) -> Factory:
    """A server with one route to a service and a page, behind the same guards."""
    applications: Routes[Any] = Routes()
    applications.add(Route(None, "/a"), Guarded(service, guards, passed))
    pages: Routes[Any] = Routes()
    pages.add(Route(None, "/a"), Guarded(Page(), guards))  # type: ignore[no-untyped-call]  # Twisted has no annotations here
    return Factory(RoutedApplications(applications), elsewhere=PageSite(RoutedPages(pages)))


async def answer(net: Network, made: Factory, request: bytes) -> bytes:
    """The response of a server to one request."""
    raw = await net.raw(await net.listen(made))
    raw.send(request)
    await raw.reads(b"\r\n\r\n")
    return bytes(raw.data)


def page(target: str = "/a/", *lines: str) -> bytes:
    """A request for a page."""
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: example.com", *lines, "", ""]).encode()


later = pytest.mark.parametrize("later", [None, 0.01], ids=["at-once", "later"])


@later
@pytest.mark.parametrize("dialect", ["hixie-75", "hixie-76", "rfc6455"])
@asynchronous
async def test_a_handshake_with_the_right_word_is_accepted(
    net: Network, dialect: str, later: float | None
) -> None:
    service = Applications(Recorder)
    request = whole_request(dialect, target="/a/b?x=1&word=right&y=")
    found = await answer(net, factory(service, Word("right", later=later)), request)
    assert status_of(found) == 101
    assert [offer.target for offer in service.asked] == ["/a/b?x=1&y="]


@asynchronous
async def test_the_response_of_hixie_76_repeats_the_whole_target(net: Network) -> None:
    """Browsers compare Sec-WebSocket-Location with the URL that they opened."""
    request = whole_request("hixie-76", target="/a?word=right")
    found = await answer(net, factory(Applications(Recorder), Word("right")), request)
    assert b"/a?word=right\r\n" in found


@later
@asynchronous
async def test_a_handshake_with_a_wrong_word_is_refused(net: Network, later: float | None) -> None:
    service = Applications(Recorder)
    guard = Word("right", later=later)
    found = await answer(
        net, factory(service, guard), whole_request("rfc6455", target="/a?word=wrong")
    )
    assert status_of(found) == 401
    assert b'WWW-Authenticate: Word realm="here"\r\n' in found
    assert service.asked == []


@later
@pytest.mark.parametrize(("target", "status"), [("/a/?word=right", 200), ("/a/", 401), ("/a", 401)])
@asynchronous
async def test_a_page_has_the_guards_of_its_route(
    net: Network, log: Any, target: str, status: int, later: float | None
) -> None:
    found = await answer(
        net, factory(Applications(Recorder), Word("right", later=later)), page(target)
    )
    assert status_of(found) == status
    assert body_of(found) == (b"the page" if status == 200 else b"what word?\n")
    await until(lambda: any(f"status={status}" in line for line in log.lines()))


@asynchronous
async def test_a_check_is_cancelled_when_the_client_of_a_handshake_disconnects(
    net: Network,
) -> None:
    guard = Word("right", later=3600)
    raw = await net.raw(await net.listen(factory(Applications(Recorder), guard)))
    raw.send(whole_request("rfc6455", target="/a"))
    await until(lambda: guard.asked)
    raw.transport.abortConnection()
    await until(lambda: guard.cancelled)


@asynchronous
async def test_a_check_is_cancelled_when_the_client_of_a_page_disconnects(net: Network) -> None:
    guard = Word("right", later=3600)
    raw = await net.raw(await net.listen(factory(Applications(Recorder), guard)))
    raw.send(page())
    await until(lambda: guard.asked)
    raw.transport.abortConnection()
    await until(lambda: guard.cancelled)


@pytest.mark.parametrize("guards", [(), (Word("right"),)], ids=["no-guard", "guard"])
@asynchronous
async def test_fields_that_tell_a_backend_about_a_client_are_removed(
    net: Network, guards: tuple[Guard, ...]
) -> None:
    service = Applications(Recorder)
    request = whole_request(
        "rfc6455",
        *("Forwarded: for=192.0.2.1", "x-forwarded-FOR: 192.0.2.1", "X_Forwarded_Host: b.example"),
        *("X-Forwarded-Proto: https", "X-Other: kept"),
        target="/a?word=right",
    )
    assert status_of(await answer(net, factory(service, *guards), request)) == 101
    (offer,) = service.asked
    assert [name for name, _ in offer.headers() if "forwarded" in name] == []
    assert offer.header("X-Other") == "kept"


@pytest.mark.parametrize("passed", [(), (b"x-word",)])
@asynchronous
async def test_a_used_field_reaches_a_backend_only_if_it_is_passed_on(
    net: Network, passed: tuple[bytes, ...]
) -> None:
    service = Applications(Recorder)
    made = factory(service, Word("right"), passed=frozenset(passed))
    request = whole_request("rfc6455", "X-Word: right", target="/a")
    assert status_of(await answer(net, made, request)) == 101
    assert service.asked[0].header("X-Word") == ("right" if passed else None)


@asynchronous
async def test_a_backend_is_told_what_a_permit_has(net: Network) -> None:
    class Telling(Guard):
        def check(self, visitor: Visitor) -> Answer:
            return Permit(((b"X-Told", b"by us"),))

    service = Applications(Recorder)
    request = whole_request("rfc6455", target="/a")
    assert status_of(await answer(net, factory(service, Telling()), request)) == 101
    assert service.asked[0].header("X-Told") == "by us"


@asynchronous
async def test_an_exception_of_a_guard_is_a_500(net: Network, log: Any) -> None:
    class Broken(Guard):
        def check(self, visitor: Visitor) -> Answer:
            raise ZeroDivisionError

    made = factory(Applications(Recorder), Broken())
    for request in (whole_request("rfc6455", target="/a"), page()):
        assert status_of(await answer(net, made, request)) == 500
    await until(lambda: len(log.events) > 1)
    assert {type(error) for error in log.tracebacks()} == {ZeroDivisionError}


def visitor(target: str = "/", *fields: tuple[bytes, bytes]) -> Visitor:
    from txhixie.sansio.http.head import Fields

    return Visitor(False, target, "a.example", None, "192.0.2.1", False, Fields([*fields]))


def test_of_alternatives_one_permit_is_enough() -> None:
    guard = OneOf([Word("one"), Word("two")])
    for word in ("one", "two"):
        assert guard.check(visitor(f"/?word={word}")) == Permit()


def test_of_alternatives_the_refusal_asks_for_each_kind() -> None:
    guard = OneOf([Word("one", "first"), Word("two", "second")])
    for target in ("/", "/?word=three"):
        refused: Any = guard.check(visitor(target))
        assert refused.status == 401
        assert sorted(refused.headers) == [
            (b"WWW-Authenticate", b'Word realm="first"'),
            (b"WWW-Authenticate", b'Word realm="second"'),
        ]


def test_each_guard_of_a_route_has_to_permit() -> None:
    guards = [Word("one"), Word("two")]
    assert isinstance(ask(guards, visitor("/?word=one")), Refusal)
    assert isinstance(ask(guards, visitor("/?word=two")), Refusal)
    assert ask(guards, visitor("/?word=one&word=two")) == Permit()


def test_a_joined_permit_has_all_fields_and_the_earliest_end() -> None:
    one, two = Permit(((b"A", b"1"),), 20.0), Permit(((b"B", b"2"),), 10.0)
    assert one.joined(two) == Permit(((b"A", b"1"), (b"B", b"2")), 10.0)
    assert one.joined(Permit()).expiresIn == Permit().joined(one).expiresIn == 20.0


def test_a_joined_permit_has_the_name_of_the_guard_that_was_asked_last() -> None:
    device, person = Permit(user="CN=tablet"), Permit(user="ada")
    assert device.joined(person).user == "ada"
    assert device.joined(Permit()).user == Permit().joined(device).user == "CN=tablet"
    assert Permit().joined(Permit()).user is None


@pytest.mark.parametrize("later", [None, 0.01])
@asynchronous
async def test_a_service_gets_the_name_of_the_user(net: Network, later: float | None) -> None:
    class Named(Word):
        def check(self, visitor: Visitor) -> Answer | Deferred[Answer]:
            """Give the client of a right word a name, at once or later."""
            answer = super().check(visitor)
            if isinstance(answer, Deferred):
                return answer.addCallback(lambda _: Permit(user="ada"))
            return Permit(user="ada")

    cases: list[tuple[tuple[Guard, ...], str | None]] = [
        ((Named("one", later=later),), "ada"),
        ((Word("one"),), None),
        ((), None),
    ]
    for guards, name in cases:
        service = Applications(Recorder)
        request = whole_request("rfc6455", target="/a?word=one")
        assert status_of(await answer(net, factory(service, *guards), request)) == 101
        assert [offer.user for offer in service.asked] == [name]


class Until(Guard):
    """A guard whose permit expires."""

    def check(self, visitor: Visitor) -> Answer:
        """Accept all clients, for a fraction of a second."""
        return Permit(expiresIn=0.1)


async def _later(decision: Any) -> Any:
    return decision


@pytest.mark.parametrize(
    "decide",
    [
        lambda app: app,
        Accepted,
        lambda app: Accepted(app, expiresIn=3600),
        lambda app: succeed(Accepted(app)),
        _later,
    ],
    ids=["application", "accepted", "accepted-for-longer", "deferred", "coroutine"],
)
@asynchronous
async def test_a_connection_ends_when_the_permit_of_its_guard_expires(
    net: Network, decide: Any
) -> None:
    place = await net.listen(factory(Answering(lambda offer: decide(Recorder())), Until()))
    client = Recorder()
    await net.connect(place, Applications(lambda: client), path="/a", dialect="rfc6455")
    await until(lambda: client.lost)
    assert isinstance(client.lost, CleanClose)
    assert (client.lost.code, client.lost.reason) == (1008, "credentials expired")


@pytest.mark.parametrize("decision", [None, Refusal(410, "gone\n")], ids=["none", "refusal"])
@asynchronous
async def test_a_refusal_of_the_service_behind_an_expiring_permit_is_the_response(
    net: Network, decision: Refusal | None
) -> None:
    made = factory(Answering(lambda offer: decision), Until())
    found = await answer(net, made, whole_request("rfc6455", target="/a"))
    assert status_of(found) == (404 if decision is None else 410)
