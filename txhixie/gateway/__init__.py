"""The gateway between dialects, for a program of your own: :class:`txhixie.gateway.GatewayService`.

The other modules of this package are its parts: what stands between one client and one backend.
"""

from .service import GatewayService

__all__ = ["GatewayService"]
