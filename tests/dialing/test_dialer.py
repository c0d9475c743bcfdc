"""The default dialer of a URL, and its ``repr()``."""

from __future__ import annotations

from txhixie.dialing.dialer import Dialer
from txhixie.sansio.limits import Limits


def test_a_dialer_does_not_show_the_password_of_its_proxy() -> None:
    """The proxy may be given as a URL."""
    assert "s3cr3t" not in repr(Dialer(None, Limits(), "http://me:s3cr3t@proxy.example:3128"))
