"""Policy file of Flash, which asks for it before a page's connection to a port (web-socket-js).

Flash Player asks at port 843 and then at the port itself. Its request is ``<policy-file-request/>``
and a zero byte, on a connection of its own; the response is a policy file and a zero byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from ..sansio.arguments import strings

_DOMAIN: Final = re.compile(
    r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)+|localhost|[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
)
_POLICY: Final = (
    '<?xml version="1.0"?>\n<!DOCTYPE cross-domain-policy SYSTEM'
    ' "http://www.macromedia.com/xml/dtds/cross-domain-policy.dtd">\n'
    "<cross-domain-policy>{rules}</cross-domain-policy>\n\0"
)
_RULE: Final = '<allow-access-from domain="{domain}" to-ports="{port}"/>'


class FlashPolicy:
    """
    Policy of a server for pages with Flash.

    :ivar domains: hosts of the pages that may connect, in lower case.
    """

    def __init__(self, domains: Iterable[str]) -> None:
        """
        :param domains: hosts of the pages that may connect: names such as ``example.com``, or
            ``*.example.com`` for all names below.
        :raises TypeError: for one string instead of several, and for values that are not ``str``.
        :raises ValueError: as :func:`read_domain`.
        """
        self.domains = tuple(map(read_domain, strings("flashPolicy", domains, '["example.com"]')))

    def response(self, host: Any) -> bytes | None:
        """
        Return the policy file, which allows connections to the port that was asked.

        :param host: our address of the connection.
        :return: ``None`` for an address without a port, such as a UNIX socket.
        """
        port = getattr(host, "port", None)
        if port is None:
            return None
        rules = "".join(_RULE.format(domain=domain, port=port) for domain in self.domains)
        return _POLICY.format(rules=rules).encode("ascii")


def read_domain(text: str) -> str:
    """
    Return a host of a policy in lower case.

    :raises ValueError: for anything but a host name, ``*.`` and a name, or an IPv4 address. A
        policy for ``*`` would let every page connect, with the address of its visitor.
    """
    domain = text.lower()
    if not _DOMAIN.fullmatch(domain):
        raise ValueError(
            f"expected the host of a page with Flash, such as example.com or *.example.com: {text}"
        )
    return domain
