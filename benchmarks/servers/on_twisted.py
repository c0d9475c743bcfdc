"""
What the servers on Twisted share: their command line.

usage: SERVER.py PORT [epoll|poll|select|asyncio] [CERTIFICATE.pem]

A file with a certificate and its private key makes the port one of TLS. Import this module first:
it installs the reactor.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.application.reactors import installReactor

if TYPE_CHECKING:
    from twisted.internet.interfaces import IProtocolFactory

PORT = int(sys.argv[1])
CERTIFICATES = [word for word in sys.argv[2:] if word.endswith(".pem")]
REACTORS = [word for word in sys.argv[2:] if word not in CERTIFICATES]

reactor: Any = installReactor((REACTORS or ["epoll"])[0])


def serve(factory: IProtocolFactory) -> None:
    """Listen, and run the reactor."""
    options: dict[str, Any] = {"interface": "127.0.0.1", "backlog": 1024}
    if CERTIFICATES:
        from OpenSSL.crypto import FILETYPE_PEM, load_certificate, load_privatekey
        from twisted.internet.ssl import CertificateOptions

        pem = Path(CERTIFICATES[0]).read_bytes()
        context = CertificateOptions(
            privateKey=load_privatekey(FILETYPE_PEM, pem),
            certificate=load_certificate(FILETYPE_PEM, pem),
        )
        reactor.listenSSL(PORT, factory, context, **options)
    else:
        reactor.listenTCP(PORT, factory, **options)
    reactor.run()
