"""The TLS contexts of one port: one for each certificate, of which the client's SNI selects one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final

from OpenSSL.crypto import X509, PKey
from OpenSSL.SSL import Connection, Context
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions
from zope.interface import implementer

from .certificates import ServerCertificate, hosts_of
from .client_authority import AskingContext, ClientAuthority

_HTTP: Final = (b"http/1.1",)
"""Twisted 25.5 sets the ALPN protocols of the factory only in the context that a connection begins
with, and not in one that SNI selects."""


class _Options(CertificateOptions):
    """Twisted's choice of versions, ciphers and modes, for a context that was prepared already."""

    def __init__(self, prepared: Callable[[int], Context], **options: Any) -> None:
        super().__init__(**options)
        # "Configurable for testability", as Twisted says: the context has to be changed before the
        # options have made a connection with it, which pyOpenSSL 25 does for the list of ciphers.
        self._contextFactory = prepared  # type: ignore[assignment]  # Twisted only calls the attribute: a function can be in place of the class


@implementer(IOpenSSLServerConnectionCreator)
class CertificateContexts:
    """
    Begins TLS with the default certificate, and changes to that of the client's server name.

    A client without a server name, or with a name that no certificate has, gets the default one:
    the first. Of two certificates for one name, the one that ends later is used.
    """

    def __init__(
        self,
        certificates: Sequence[ServerCertificate],
        authority: ClientAuthority | None = None,
        **options: Any,
    ) -> None:
        """
        :param certificates: the certificates, the default one first.
        :param authority: the CA of client certificates; by default no client is asked for one.
        :param options: further arguments of Twisted's ``CertificateOptions``.
        :raises OpenSSL.SSL.Error: for a certificate that OpenSSL refuses, such as one with a short
            key.
        """
        self._authority = authority
        made = [(each, self._context(each, options)) for each in certificates]
        self._default = made[0][1]
        self._contexts: dict[str, Context] = {}
        for each, context in sorted(made, key=lambda pair: pair[0].certificate.not_valid_after_utc):
            self._contexts |= dict.fromkeys(hosts_of(each.certificate), context)

    def serverConnectionForTLS(self, protocol: Any) -> Connection:
        """Return the TLS connection of a new client."""
        connection = Connection(self._default)
        connection.set_app_data(protocol)
        return connection

    def _context(self, served: ServerCertificate, options: dict[str, Any]) -> Context:
        made = _Options(
            self._prepared,
            certificate=X509.from_cryptography(served.certificate),
            privateKey=PKey.from_cryptography_key(served.key),
            extraCertChain=[X509.from_cryptography(each.certificate) for each in served.chain],
            acceptableProtocols=_HTTP,
            **options,
        )
        with warnings.catch_warnings():
            # pyOpenSSL 24.3 would have certificates of cryptography, and Twisted 26.10 its own.
            warnings.simplefilter("ignore", DeprecationWarning)
            return made.getContext()

    def _prepared(self, method: int) -> Context:
        if self._authority is None:
            context = Context(method)
        else:
            context = AskingContext(method)
            self._authority.add_to(context)
        context.set_tlsext_servername_callback(self._named)
        return context

    def _named(self, connection: Connection) -> None:
        """Called when a client has sent its TLS hello: select the certificate of the host."""
        host = (connection.get_servername() or b"").decode("latin-1").lower()
        found = self._contexts.get(host) or self._contexts.get(f"*.{host.partition('.')[2]}")
        if found is not None:
            connection.set_context(found)
