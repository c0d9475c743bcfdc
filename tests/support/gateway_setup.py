"""A gateway, its backend and its clients over real sockets."""

from __future__ import annotations

from typing import Any

from support.applications import Applications, Recorder
from support.network import Network, Place
from support.waiting import reactor, until, within
from txhixie import Limits
from txhixie.gateway import GatewayService

QUICK = Limits(close_timeout=0.5)


async def gateway(
    net: Network, applications: Any, dialect: str = "rfc6455", path: str = "", **options: Any
) -> tuple[Place, Place]:
    """A backend, and a gateway to it."""
    over = options.pop("over", "tcp")
    served = {name: options.pop(name) for name in ("subprotocols", "origins") if name in options}
    back = await net.serve(applications, over, binary="send", limits=QUICK, origins=["*"], **served)
    service = GatewayService(reactor, back.url(path), dialect=dialect, limits=QUICK, **options)
    return await net.serve(service, limits=QUICK, origins=["*"]), back


async def met(
    net: Network, place: Place, dialect: str = "rfc6455", path: str = "/demo", **options: Any
) -> Recorder:
    """An open client of the gateway."""
    application = Recorder()
    options.setdefault("binary", "send")
    applications = Applications(lambda: application)
    wire = await net.connect(place, applications, path, dialect=dialect, **options)
    await within(wire.whenOpen())
    return application


async def hears(application: Recorder, count: int) -> list[str | bytes]:
    await until(lambda: len(application.messages) >= count)
    return application.messages
