"""Header fields in which the daemon tells a backend about a client."""

from __future__ import annotations

from typing import Final

from ...sansio.http.forwarded import FORWARDED_FIELDS

SUBJECT_FIELD: Final = b"X-SSL-Client-S-DN"
"""The field for the subject of the client's certificate: the name that configurations of nginx
usually give to ``$ssl_client_s_dn``, with the same text."""

PERMIT_FIELDS: Final = frozenset({SUBJECT_FIELD.lower()})
"""Names, in lower case, of the fields that the permit of a guard may have. A gateway passes them on
in addition to those of its option ``pass-headers``."""

BACKEND_FIELDS: Final = FORWARDED_FIELDS | PERMIT_FIELDS
"""
Names, in lower case, of all header fields in which the daemon tells a backend about a client.

They are removed from the request of every client, on every route: a client could write them as
well, and a backend could not distinguish the two. Forwarded fields of a trusted reverse proxy
have been read before, and the gateway writes them anew.
"""
