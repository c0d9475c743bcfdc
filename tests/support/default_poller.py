"""Whether servers and clients have a connection poller by default in this run of the tests.

``TXHIXIE_TEST_CONNECTION_POLLER=off`` changes the default of the option, so that the same tests
run with the connections in the reactor. Tests that give the option themselves run as always.
"""

from __future__ import annotations

import os
from inspect import unwrap
from typing import Any, Final

IS_ON: Final = os.environ.get("TXHIXIE_TEST_CONNECTION_POLLER") != "off"
"""Whether the poller is on by default."""


def change_default() -> None:
    """Change the default of the option in this process, if an environment variable does."""
    if IS_ON:
        return
    # Here, since these modules import the reactor.
    from txhixie import HixieClientFactory, HixieServerFactory
    from txhixie.daemon.services.tcp import StreamService
    from txhixie.gateway.service import GatewayService

    each: Any
    for each in (HixieClientFactory, HixieServerFactory, GatewayService, StreamService):
        unwrap(each.__init__).__kwdefaults__["connectionPoller"] = False
