"""The condition ``client-certificate``: a certificate of the client, from the TLS handshake."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ...sansio.handshake.offer import Refusal
from .backend_fields import SUBJECT_FIELD
from .certificate_subject import REQUIRED
from .guard import Answer, Guard, Permit
from .visitor import Visitor

if TYPE_CHECKING:  # cryptography is not loaded for a daemon without TLS
    from cryptography.x509 import Name


class ClientCertificate(Guard):
    """
    Guard that lets in clients with a certificate.

    The TLS port has verified the certificate: no port asks for one without ``client-ca``. So this
    guard looks at the subject only. A browser that has chosen a certificate for a page sends it for
    the WebSocket handshakes of the same host as well. The name of a user is the whole subject.
    """

    namesUsers = True

    def __init__(self, subjects: Collection[Name] | None = None) -> None:
        """:param subjects: the subjects that are let in; ``None`` for all of them."""
        self._subjects = subjects

    def check(self, visitor: Visitor) -> Answer:
        """
        Compare the whole subject of the certificate: attributes, their order and their values.

        :return: a permit that tells a backend the subject; 403 without a certificate and for
            another subject, since TLS has no other certificate on this connection.
        """
        if visitor.certificate is None:
            return _refused("client certificate required")
        from ...server.tls.subject import name_in, subject_of

        try:
            certificate = visitor.certificate.to_cryptography()
            name, subject = name_in(certificate), subject_of(certificate)
        except ValueError as error:
            return _refused("client certificate not readable", f": {error}")
        if self._subjects is not None and name not in self._subjects:
            return _refused("client certificate not allowed", f": {subject}")
        return Permit(((SUBJECT_FIELD, subject.encode("ascii")),), user=subject or None)


def build_client_certificate(reactor: Any, values: Mapping[str, Any]) -> ClientCertificate:
    """Make the guard of the given subjects."""
    given = values["client-certificate"]
    if REQUIRED in given:
        return ClientCertificate()
    from ...server.tls.subject import read_subject

    return ClientCertificate([read_subject(text) for text in given])


def _refused(reason: str, detail: str = "") -> Refusal:
    why = f"{reason}{detail} (client-certificate)"
    return Refusal(403, f"{reason}\n", why=why, cause="certificate")
