"""The page of the daemon's metrics, in the formats of Prometheus and OpenMetrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from twisted.web.http import OK
from twisted.web.server import Request

from ..dispatch import RoutedServerFactory
from ..page_answer import PageAnswer
from .collector import SurveyCollector
from .leaf_page import LeafPage, Response
from .status_page import OWN_ORIGIN_ONLY
from .survey import Survey, Surveyor


class MetricsPage(LeafPage):
    """Page of the metrics of the daemon and its process."""

    name = "The metrics page"

    def __init__(self, factory: RoutedServerFactory, surveyor: Surveyor) -> None:
        """
        :param factory: the factory of the daemon.
        :param surveyor: counts the connections.
        """
        super().__init__()
        self._surveyor = surveyor
        self._collector = SurveyCollector(factory)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self._collector)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def isRoutine(self, request: Request) -> bool:
        """No request has a line of the log: Prometheus sends one each minute or more often."""
        return True

    def answer(self, request: Request) -> Response:
        """Return the metrics, in the format that ``Accept`` asks for."""
        accepted = (request.getHeader(b"accept") or b"").decode("latin-1")
        return self._surveyor.survey().addCallback(self._encode, accepted)

    def _encode(self, survey: Survey, accepted: str) -> PageAnswer:
        self._collector.survey = survey
        try:
            body, contentType = self._encoded(accepted)
        finally:
            self._collector.survey = None
        return PageAnswer(OK, body, contentType, caching="no-store", headers=OWN_ORIGIN_ONLY)

    def _encoded(self, accepted: str) -> tuple[bytes, str]:
        try:
            encoder, contentType = choose_encoder(accepted)
        except (TypeError, ValueError):  # prometheus-client 0.26, for a version that is no number
            encoder, contentType = choose_encoder("")
        return encoder(self._registry), contentType
