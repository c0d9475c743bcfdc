"""Links from the guide's text to public names, to options, and to objects of Twisted and Python.

A name in single backquotes is a link: `` `Limits` ``, `` `Pair.new` ``, `` `Refusal(403)` ``. It is
looked for, in this order, among the settings of the guide (``confval``), the public names of
txhixie, with or without their module, and the names of other packages in ``ELSEWHERE``; full names
of Twisted are known by their form. A name that is not found is a warning, and so an error of the
build. No inventory is fetched: the build needs no network.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

TWISTED: Final = "https://docs.twisted.org/en/stable/api/"
ZOPE: Final = "https://zopeinterface.readthedocs.io/en/latest/"
PYTHON: Final = "https://docs.python.org/3/library/"

_INTERNET: Final = "twisted.internet"

ELSEWHERE: Final = {
    **{
        name: f"{_INTERNET}.interfaces.{name}"
        for name in (
            *("ITransport", "IConsumer", "IPushProducer", "IReactorTime", "INegotiated"),
            *(
                "ISSLTransport",
                "IHalfCloseableProtocol",
                "IStreamClientEndpoint",
                "IStreamServerEndpoint",
            ),
        )
    },
    **{
        name: f"{_INTERNET}.error.{name}"
        for name in (
            *("ConnectionDone", "ConnectionLost", "ConnectError", "DNSLookupError"),
            *("TimeoutError", "ConnectingCancelledError"),
        )
    },
    "Deferred": f"{_INTERNET}.defer.Deferred",
    "CancelledError": f"{_INTERNET}.defer.CancelledError",
    "inlineCallbacks": f"{_INTERNET}.defer.inlineCallbacks",
    "Clock": f"{_INTERNET}.task.Clock",
    "react": f"{_INTERNET}.task.react",
    "callFromThread": f"{_INTERNET}.interfaces.IReactorFromThreads",
    "deferToThread": f"{_INTERNET}.threads.deferToThread",
    "blockingCallFromThread": f"{_INTERNET}.threads.blockingCallFromThread",
    "Protocol": f"{_INTERNET}.protocol.Protocol",
    "Factory": f"{_INTERNET}.protocol.Factory",
    "ClientService": "twisted.application.internet.ClientService",
    "StreamServerEndpointService": "twisted.application.internet.StreamServerEndpointService",
    "Service": "twisted.application.service.Service",
    "serverFromString": f"{_INTERNET}.endpoints.serverFromString",
    "clientFromString": f"{_INTERNET}.endpoints.clientFromString",
    "quoteStringArgument": f"{_INTERNET}.endpoints.quoteStringArgument",
    "TCP4ServerEndpoint": f"{_INTERNET}.endpoints.TCP4ServerEndpoint",
    "Failure": "twisted.python.failure.Failure",
    "Logger": "twisted.logger.Logger",
    "Site": "twisted.web.server.Site",
    "IRequest": "twisted.web.iweb.IRequest",
    "IResource": "twisted.web.resource.IResource",
    "Resource": "twisted.web.resource.Resource",
    "HTTPFactory": "twisted.web.http.HTTPFactory",
    "HTTPChannel": "twisted.web.http.HTTPChannel",
    "twisted.web": "twisted.web",
    "twisted.web.websocket": "twisted.web.websocket",
    "zope.interface": "zope.interface",
    "TypeError": f"{PYTHON}exceptions.html#TypeError",
    "ValueError": f"{PYTHON}exceptions.html#ValueError",
    "RuntimeError": f"{PYTHON}exceptions.html#RuntimeError",
    "asyncio": f"{PYTHON}asyncio.html",
    "asyncio.timeout": f"{PYTHON}asyncio-task.html#asyncio.timeout",
    "asyncio.wait_for": f"{PYTHON}asyncio-task.html#asyncio.wait_for",
}
"""Short names of objects of other packages: each with its full name, or with its URL."""


class Exports(SphinxDirective):
    """``.. exports:: MODULE``: the names that a public module exports, each as a link."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """List the names that the API pages have in this module."""
        module = self.arguments[0]
        modules = self.config.listed_modules
        names = [
            name
            for name, full in self.config.public_names.items()
            if full == f"{module}.{name}"
            and "." not in name
            and full not in modules
            and not name.startswith("_")
        ]
        return self.parse_text_to_nodes(", ".join(f"`{name}`" for name in sorted(names)))


def setup(app: Sphinx) -> None:
    """Resolve names before ``sphinx.ext.intersphinx`` does."""
    app.add_directive("exports", Exports)
    app.connect("missing-reference", resolve, priority=400)


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Node | None:
    """Resolve a name that is short, a setting's, or another package's."""
    if node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"]).partition("(")[0]  # `Refusal(403)` is a link to Refusal
    setting = env.domains.standard_domain.objects.get(("confval", target))
    if setting is not None:
        page, anchor = setting
        return make_refnode(app.builder, str(node["refdoc"]), page, anchor, content, target)
    full = app.config.public_names.get(target)
    if full is not None:
        node["reftarget"] = full  # the inventory of the API pages has its URL
        return None
    node["reftarget"] = target
    return link(target, content)


def link(target: str, content: nodes.TextElement) -> nodes.Node | None:
    """A link to an object of another package."""
    full = ELSEWHERE.get(target, target)
    url = full if full.startswith("https:") else url_of(full)
    if url is None:
        return None
    found = nodes.reference("", "", internal=False, refuri=url, reftitle=full)
    found += content
    return found


def url_of(name: str) -> str | None:
    """The page of an object of Twisted: a class and a module have one, a function an anchor."""
    if name == "zope.interface":
        return ZOPE
    if name.partition(".")[0] != "twisted":
        return None
    module, _, last = name.rpartition(".")
    if last[0].isupper() or last in {"web", "websocket"}:
        return f"{TWISTED}{name}.html"
    return f"{TWISTED}{module}.html#{last}"


def short_names(inventory: Path, modules: Iterable[str]) -> dict[str, str]:
    """
    Full names of the API pages, by what is after the module's name.

    :param inventory: the ``objects.inv`` of the API pages.
    :param modules: the public modules; of a name that two have, the first module's is taken.
    """
    lines = zlib.decompress(inventory.read_bytes().split(b"\n", 4)[4]).decode("utf-8").splitlines()
    names = [line.split()[0] for line in lines]
    found: dict[str, str] = {}
    for module in modules:
        for name in names:
            if name.startswith(f"{module}."):
                found.setdefault(name.removeprefix(f"{module}."), name)
    return found
