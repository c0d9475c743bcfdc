"""Header fields in which the daemon tells a backend about a client."""

from __future__ import annotations

from typing import Final

from ...sansio.http.forwarded import FORWARDED_FIELDS

BACKEND_FIELDS: Final = FORWARDED_FIELDS
"""
Names, in lower case, of all header fields in which the daemon tells a backend about a client.

They are removed from the request of every client, on every route: a client could write them as
well, and a backend could not tell who has written them. Forwarded fields of a trusted reverse proxy
have been read before, and the gateway writes them anew. A field that a guard's
:class:`txhixie.daemon.guards.guard.Permit` may have belongs into this set.
"""
