"""The gateway between dialects, for your own program: :class:`txhixie.gateway.GatewayService`.

The other modules of this package are the parts of a session between one client and one backend.
"""

from .service import GatewayService

__all__ = ["GatewayService"]
