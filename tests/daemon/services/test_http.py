"""The service of pages: its options, and mistakes in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.web.resource import IResource

from support.waiting import reactor
from txhixie.daemon.route_option import read_description
from txhixie.daemon.services import service_for
from txhixie.daemon.services.http import PAGE_OPTIONS, build_pages
from txhixie.daemon.services.service import Context


def built(word: str) -> object:
    description = read_description(word)
    options = description.options(PAGE_OPTIONS)
    return build_pages(reactor, description.service, options, Context(description.route))


@pytest.mark.parametrize("url", ["http://h", "https://h:8443", "http://unix:/run/app.sock"])
def test_a_url_without_a_path_is_pages(url: str) -> None:
    assert service_for(url).name == "pages"
    assert IResource.providedBy(built(f"/={url}"))


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("/=http://h/", "expected a URL without a path, not even /: .*strip-prefix"),
        ("/=http://h/x", "expected a URL without a path"),
        ("/=http://unix:/run/a.sock:/x", "expected a URL without a path"),
        ("/=http:h", "expected http://HOST:PORT or https://HOST:PORT"),
        ("/=https://unix:/run/a.sock", "a UNIX socket needs no TLS"),
        ("/=http://us:pw@h header=Authorization: x", "leave one of the two out"),
        ("/=http://h header=Host: x", "expected the option backend-host"),
        ("/=http://h header=Connection: x", "does not write: Connection"),
        ("/=http://h response-timeout=0", "response-timeout 0: expected more than 0 seconds"),
        ("/=http://h connections=0", "connections 0: expected a number of connections"),
        ("/=http://h dialect=rfc6455", "dialect: expected an option of http://h"),
        ("/=https://h private-key=x", "private-key: expected the option certificate as well"),
    ],
)
def test_a_mistake_is_an_error_at_start(word: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        built(word)


def test_a_missing_certificate_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"certificate .*none.pem: expected a file in PEM"):
        built(f"/=https://h certificate={tmp_path}/none.pem")
