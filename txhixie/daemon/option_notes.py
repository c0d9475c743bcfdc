"""Notes about options that do not fit each other, which the daemon writes at its start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..server.access import EVERYBODY, Policy
from ..server.port_check import parts_of
from .given_options import GivenOptions


def notes_of(given: GivenOptions, policy: Policy, policies: Sequence[Policy]) -> Iterator[str]:
    """
    Yield lines about options that do not fit each other; usually none.

    :param given: the options.
    :param policy: access rules of all routes.
    :param policies: access rules of each route to a WebSocket service.
    """
    for note in (
        _of_console(given, policy, policies),
        _of_quirks(given, policies),
        _of_viewers(given),
    ):
        if note:
            yield note


def _of_console(given: GivenOptions, policy: Policy, policies: Sequence[Policy]) -> str:
    """Return a line about origins that leave out the console page of the daemon; usually empty."""
    is_behind_proxy = given.one("secure", False) or given.trusted
    if not policies or "console" not in given or is_behind_proxy:
        return ""
    numbers = [_number_of(str(one.value)) for one in given.of("port")]
    if {"", "0", "80", "443"} & {*numbers}:
        return ""
    if any(_allows_port(each, numbers) for each in policies):
        return ""
    are_own = any(each is not policy for each in policies)
    where = "no route has" if are_own else "--origins has not"
    return (
        f"the console page at port {numbers[0]} cannot connect: {where} its own origin; add it,"
        f" such as http://127.0.0.1:{numbers[0]}"
    )


def _of_quirks(given: GivenOptions, policies: Sequence[Policy]) -> str:
    """Return a line about a quirk that a reverse proxy makes dangerous; usually empty."""
    if not given.trusted or not any("upgrade" in each.quirks for each in policies):
        return ""
    return (
        "quirks=upgrade beside --trust-forwarded: a reverse proxy may take a request without"
        " Connection: Upgrade for an ordinary one, and mix up its clients' responses; let"
        " devices with this quirk connect directly"
    )


def _of_viewers(given: GivenOptions) -> str:
    """Return a line about a reverse proxy that may make all clients viewers; usually empty."""
    is_shown = "status" in given or "metrics" in given
    is_behind_proxy = given.one("secure", False) and not given.trusted
    if not is_shown or "status-allow" in given or not is_behind_proxy:
        return ""
    return (
        "--secure without --trust-forwarded: if the reverse proxy is on this machine and sends"
        " no X-Forwarded-For, all its clients may read the status; use --status-allow"
    )


def _number_of(port: str) -> str:
    """Return the number of a TCP port; empty for another endpoint, or one with TLS."""
    scheme, values, named = parts_of(port)
    if scheme in ("tcp", "tcp6"):
        return named.get("port") or (values[0] if values else "")
    return port if port.isdecimal() else ""


def _allows_port(policy: Policy, numbers: Sequence[str]) -> bool:
    """Whether an allowed origin has one of these ports, as the pages of a daemon have."""
    allowed = policy.origins
    if allowed is None or EVERYBODY in allowed:
        return True
    return any(each.endswith(tuple(f":{number}" for number in numbers)) for each in allowed)
