"""The Hypothesis strategies of the test kit: what they draw is valid in the dialect."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from support.dialect_marks import each
from support.dialect_names import MODERN, NAMES
from txhixie.testing import Applications, Pair, Recorder, echo
from txhixie.testing.strategies import deliveries, frames, messages, spoken, texts


def talking(dialect: str = "rfc6455", **options: object) -> tuple[Pair, Recorder, Recorder]:
    """A pair, and its applications: the server's one echoes."""
    servers, client = Applications(echo), Recorder()
    pair = Pair.new(servers, client, dialect=dialect, **options)  # type: ignore[arg-type]  # the options come from a dictionary, and are checked when the test runs
    return pair, servers.made[0], client


@given(st.data(), st.sampled_from(NAMES))
def test_any_messages_of_a_client_arrive_for_any_cuts_of_the_reads(
    data: st.DataObject, name: str
) -> None:
    pair, server, _ = talking(name)
    said = data.draw(spoken(name, "client"))
    for read in data.draw(deliveries(said.data)):
        pair.server.receive(read)
    assert server.messages == said.messages
    pair.done()


@given(st.data(), st.sampled_from(NAMES))
def test_every_frame_is_accepted_by_a_peer(data: st.DataObject, name: str) -> None:
    pair, _, client = talking(name)
    pair.client.receive(data.draw(frames(name, "server")))
    assert client.lost is None
    assert len(client.events) <= 3
    pair.pump()
    assert client.lost is None
    pair.done()


@given(st.data(), st.sampled_from(NAMES))
def test_every_message_can_be_sent(data: st.DataObject, name: str) -> None:
    pair, _, client = talking(name)
    said = data.draw(st.lists(messages(name)))
    for message in said:
        if isinstance(message, str):
            client.transport.sendTextMessage(message)
        else:
            client.transport.sendBytesMessage(message)
    pair.pump()
    assert client.messages == said
    pair.done()


@given(texts(5))
def test_texts_can_be_encoded(text: str) -> None:
    assert len(text) <= 5
    assert text.encode().decode() == text


@each
def test_binary_is_drawn_where_it_is_not_lost(dialect: str) -> None:
    """Otherwise the drawn messages could not be sent in hixie-76."""
    found: set[type] = set()

    @given(messages(dialect))
    def look(message: str | bytes) -> None:
        found.add(type(message))

    look()
    assert (bytes in found) == (dialect in (*MODERN, "hixie-54"))
