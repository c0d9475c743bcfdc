"""The table of buses: URLs, their errors, and a package that is missing."""

from __future__ import annotations

import sys

import pytest
from twisted.internet.task import Clock

from txhixie.bus.local import LocalBus
from txhixie.bus.redis import RedisBus
from txhixie.bus.redis_address import RedisAddress
from txhixie.bus.rows import check_scheme, make_bus


def test_the_scheme_chooses_the_bus() -> None:
    assert isinstance(make_bus(Clock(), "local"), LocalBus)
    for scheme in ("redis", "rediss", "valkey", "valkeys"):
        assert isinstance(make_bus(Clock(), f"{scheme}://[::1]:7000/3"), RedisBus)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("reddis://host", "expected local or redis://.*did you mean redis?"),
        ("kafka://host", "expected local or redis://"),
        ("local:more", "expected local without further words"),
        ("redis:", "expected redis://"),
        ("redis://host:none", "expected redis://"),
        ("redis://host/name", "expected redis://"),
        ("redis://host?timeout=3", "expected redis://"),
        ("rediss://host?ca=/nowhere", "expected a file of CA certificates"),
        ("nats://host", "expected the asyncio reactor, .* twistd --reactor=asyncio hixie"),
    ],
)
def test_a_wrong_URL_is_one_line_that_says_what_to_write(url: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected) as caught:
        make_bus(Clock(), url)
    assert "\n" not in str(caught.value)


def test_an_unknown_scheme_is_found_before_anything_is_made() -> None:
    with pytest.raises(ValueError, match="expected local or"):
        check_scheme("http://host")


@pytest.mark.parametrize(
    ("package", "extra", "url"),
    [("hiredis", "redis", "redis://host"), ("nats.aio.client", "nats", "nats://host")],
)
def test_a_missing_package_is_one_line_that_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, package: str, extra: str, url: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for module in ("nats", "nats_connection"):  # which other tests may have imported
        monkeypatch.delitem(sys.modules, f"txhixie.bus.{module}", raising=False)
    with pytest.raises(ValueError, match=rf"pip install 'txhixie\[{extra}\]'"):
        make_bus(Clock(), url)
    for wrong in (f"{url}:port", f"{url}?timeout=3"):
        with pytest.raises(ValueError, match=rf"expected {extra}://"):
            make_bus(Clock(), wrong)
    secure = {"redis": "rediss://host", "nats": "tls://host"}[extra]
    with pytest.raises(ValueError, match="expected a file of CA certificates"):
        make_bus(Clock(), f"{secure}?ca=/nowhere")


def test_credentials_are_unquoted_and_are_in_no_text_of_the_address() -> None:
    address = RedisAddress.of("redis://us%40er:se%2Fcret@example.com")
    url = address.url
    assert (url.user, url.password, url.port) == ("us@er", "se/cret", 6379)
    assert str(address) == "redis://example.com:6379/0"
    assert "cret" not in repr(address)
    assert str(RedisAddress.of("valkeys://[::1]:7/3")) == "rediss://[::1]:7/3"
