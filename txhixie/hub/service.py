"""The service of a hub: which topic a client joins, and how."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from twisted.internet.defer import Deferred

from ..interfaces import Accepted
from ..sansio.handshake.offer import Offer, Refusal
from .hub import Hub
from .joining import Joining
from .member import Member
from .objects import SUBPROTOCOL
from .publishers import ALL_CLIENTS, Publishers
from .topic import Topic

MOST_TOPICS: Final = 1000
TOPIC_AGE: Final = 600.0
MOST_NAME: Final = 200
"""Most characters of the name of a topic."""

REQUEST_PATH: Final = "{path}"
"""Placeholder for the path of the request in the name of a topic."""


class HubService:
    """
    Server factory that makes each client a member of a topic.

    :ivar page: page resource by which programs publish messages; ``None`` without one.
    :ivar needsUsers: whether users may publish. A condition of the route has to identify the users
        (:attr:`txhixie.Offer.user`).
    """

    page: Any = None

    def __init__(
        self,
        hub: Hub,
        topic: str,
        *,
        history: int = 0,
        publishers: Publishers = ALL_CLIENTS,
        slow: str = "skip",
        mostTopics: int = MOST_TOPICS,
        topicAge: float = TOPIC_AGE,
    ) -> None:
        """
        :param hub: the topics of the daemon.
        :param topic: name of the topic; ``{path}`` in it is the path of the request.
        :param history: most earlier messages that a client gets.
        :param publishers: the clients that may publish.
        :param slow: what becomes of a message for a slow client.
        :param mostTopics: most topics of the daemon.
        :param topicAge: seconds after which a topic without clients goes.
        """
        self._hub = hub
        self._topic = topic
        self._history = history
        self._publishers = publishers
        self.needsUsers = publishers.needs_users
        self._slow = slow
        self._mostTopics = mostTopics
        self._topicAge = topicAge

    def buildProtocol(self, offer: Offer) -> Accepted | Refusal | Deferred[Accepted | Refusal]:
        """
        Make a client a member of its topic.

        :return: the acceptance; a 404 for a path that is no name of a topic, and a 503 beyond the
            largest number of topics. A Deferred where other processes have to be asked for their
            number of topics, and where the bus has not confirmed the subscription to the topic.
        """
        topic = self._topicFor(offer.path)
        if isinstance(topic, Deferred):
            return topic.addCallback(self._accept, offer)
        return self._accept(topic, offer)

    def _accept(
        self, topic: Topic | Refusal, offer: Offer
    ) -> Accepted | Refusal | Deferred[Accepted | Refusal]:
        if isinstance(topic, Refusal):
            return topic
        subscribed = topic.whenSubscribed()
        if subscribed is None:
            return self._member(topic, offer)
        return subscribed.addCallback(lambda _: self._member(topic, offer))

    def _member(self, topic: Topic, offer: Offer) -> Accepted | Refusal:
        offered = offer.subprotocols
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in offered else next(iter(offered), None)
        return Accepted(Member(topic, self._joining(offer, subprotocol)), subprotocol)

    def publish(self, path: str, payload: bytes, isText: bool) -> Deferred[Any] | Refusal:
        """
        Publish a message from outside of the topic.

        :param path: path of the request.
        :param payload: the message, in UTF-8 for text.
        :param isText: whether the message is text.
        :return: fires with the position of the message; or a refusal, as for a client, also as the
            result of the Deferred.
        """

        def publish(topic: Topic | Refusal) -> Deferred[Any] | Refusal:
            return topic if isinstance(topic, Refusal) else topic.publish(payload, isText)

        topic = self._topicFor(path)
        return topic.addCallback(publish) if isinstance(topic, Deferred) else publish(topic)

    def _topicFor(self, path: str) -> Topic | Refusal | Deferred[Topic | Refusal]:
        name = self._nameFor(path)
        if name is None:
            return Refusal(404, f"expected a path of at most {MOST_NAME} characters for a topic\n")
        mayBegin = self._hub.mayBegin(name, self._mostTopics)
        if isinstance(mayBegin, Deferred):
            return mayBegin.addCallback(self._begin, name)
        return self._begin(mayBegin, name)

    def _begin(self, mayBegin: bool, name: str) -> Topic | Refusal:
        if not mayBegin:
            why = f"too many topics: {self._mostTopics} (max-topics)"
            return Refusal(503, "too many topics\n", why=why, cause="topics")
        return self._hub.topic(name, self._topicAge, self._history > 0)

    def _joining(self, offer: Offer, subprotocol: str | None) -> Joining:
        asObjects = subprotocol == SUBPROTOCOL
        query = offer.query if asObjects else {}
        return Joining(
            self._history,
            self._publishers.has(offer),
            self._slow,
            asObjects,
            query.get("since", [None])[-1],
            "presence" in query,
        )

    def _nameFor(self, path: str) -> str | None:
        if REQUEST_PATH not in self._topic:
            return self._topic
        asked = unquote(path, "utf-8").strip("/")
        if not asked or not asked.isprintable() or len(asked) > MOST_NAME:
            return None
        return self._topic.replace(REQUEST_PATH, asked)
