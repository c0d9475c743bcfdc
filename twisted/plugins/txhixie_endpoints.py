"""What Twisted reads to understand endpoint descriptions: names only, so that it imports neither
txhixie nor OpenSSL."""

from typing import Any

from twisted.internet.interfaces import (
    IStreamClientEndpoint,
    IStreamClientEndpointStringParserWithReactor,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import IPlugin
from twisted.python.reflect import namedAny
from zope.interface import implementer


@implementer(IPlugin, IStreamClientEndpointStringParserWithReactor)
class ClientDescription:
    """A word before the first colon, and the function that reads what comes after it."""

    def __init__(self, prefix: str, function: str) -> None:
        """:param function: its full name; imported when it is needed."""
        self.prefix = prefix
        self._function = function

    def parseStreamClient(self, reactor: Any, *args: str, **kwargs: str) -> IStreamClientEndpoint:
        """See ``IStreamClientEndpointStringParserWithReactor``."""
        endpoint: IStreamClientEndpoint = namedAny(self._function)(reactor, *args, **kwargs)
        return endpoint


@implementer(IPlugin, IStreamServerEndpointStringParser)
class ServerDescription:
    """The same, where somebody listens."""

    def __init__(self, prefix: str, function: str) -> None:
        """:param function: its full name; imported when it is needed."""
        self.prefix = prefix
        self._function = function

    def parseStreamServer(self, reactor: Any, *args: str, **kwargs: str) -> IStreamServerEndpoint:
        """See ``IStreamServerEndpointStringParser``."""
        endpoint: IStreamServerEndpoint = namedAny(self._function)(reactor, *args, **kwargs)
        return endpoint


httpconnect = ClientDescription("httpconnect", "txhixie.dialing.proxy_endpoint.parseHTTPConnect")
ws = ClientDescription("ws", "txhixie.byte_streams.descriptions.parseWS")
wss = ClientDescription("wss", "txhixie.byte_streams.descriptions.parseWSS")
checkedTLS = ClientDescription("hixietls", "txhixie.dialing.tls_descriptions.parseTLS")
checkedSSL = ClientDescription("hixiessl", "txhixie.dialing.tls_descriptions.parseSSL")
wsServer = ServerDescription("ws", "txhixie.byte_streams.descriptions.parseServer")
