"""The operator's descriptions of services: ``--check``, errors, and the guide's list of options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.certificates import Authority
from support.daemon import run_hixie
from txhixie.daemon.daemon import Daemon
from txhixie.daemon.options import OPTIONS, Said
from txhixie.daemon.services import SERVICES

ROOT = Path(__file__).resolve().parents[2]

WS = "ws://127.0.0.1:9"


def test_check_prints_every_service_and_connects_to_none(tmp_path: Path) -> None:
    """No server listens at these addresses, and no name is looked up. No password is printed."""
    (tmp_path / "www").mkdir()
    (tmp_path / "we.pem").write_bytes(Authority("a").pem_for("we"))
    (tmp_path / "hixie.toml").write_text(
        f"""
        connect-timeout = 2.5

        [[serve]]
        host = "*.example.com"
        path = "/chat"
        required-subprotocol = "chat"
        service = "wss://me:secret@nowhere.invalid/x"
        dialect = "hixie-76"
        binary = "base64"
        pings = "relay"
        backend-compression = true
        lenient = true
        pass-headers = "x-one, x-two"
        origin = "https://example.com"
        proxy = "http://me:secret@proxy.invalid:3128"
        trust-root = "{tmp_path}"
        certificate = "{tmp_path / "we.pem"}"

        [[serve]]
        path = "/vnc"
        service = "tls:nowhere.invalid:5900"
        coding = "base64"
        subprotocols = "mqtt"

        [[serve]]
        path = "/"
        service = "static:{tmp_path / "www"}"
        """
    )
    result = run_hixie("--config", str(tmp_path / "hixie.toml"), "--check")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line for line in lines if line.startswith(("serve ", "connect-timeout"))] == [
        (
            "serve             *.example.com/chat=wss://***@nowhere.invalid/x "
            "required-subprotocol=chat dialect=hixie-76 binary=base64 pings=relay "
            "backend-compression=true lenient=true pass-headers=x-one, x-two "
            "origin=https://example.com "
            "proxy=http://***@proxy.invalid:3128 "
            f"trust-root={tmp_path} certificate={tmp_path / 'we.pem'}"
        ),
        "serve             /vnc=tls:nowhere.invalid:5900 coding=base64 subprotocols=mqtt",
        f"serve             /=static:{tmp_path / 'www'}",
        "connect-timeout   2.5",
    ]
    assert "secret" not in result.stdout


MISTAKES = (
    ("ws://", "", r"expected ws://HOST:PORT or wss://HOST:PORT: host"),
    ("ws://a b", "", r"expected ws://HOST:PORT or wss://HOST:PORT: host"),
    ("ws://a:99999", "", r"expected ws://HOST:PORT or wss://HOST:PORT: port"),
    ("ws://a/#b", "", r"expected ws://HOST:PORT or wss://HOST:PORT: fragment"),
    ("http://a/b", "", r"expected a URL without a path, not even /: "),
    (WS, "dialect=hixie-77", r"dialect hixie-77: expected one of hixie-54, .*mean hixie-76\?"),
    (WS, "binary=drop", r"binary drop: expected one of refuse, base64"),
    (WS, "pings=never", r"pings never: expected one of answer, relay, off"),
    (WS, "compression=yes", r"compression yes: expected true or false"),
    (WS, "lenient=1", r"lenient 1: expected true or false"),
    (WS, "pass-headers=Upgrade", r"pass-headers Upgrade: expected .*passed on, not Upgrade"),
    (WS, "pass-headers=a,,b", r"pass-headers a,,b: expected header fields that may be passed"),
    (WS, "proxy=socks5://x:1", r"proxy socks5://x:1: expected the URL of an HTTP proxy: scheme"),
    (WS, "origin=here", r"origin here: expected scheme://host"),
    (WS, "private-key=key.pem", r"private-key: expected the option certificate as well"),
    (WS, "dialetc=hixie-76", r"dialetc: expected an option of ws://127.0.0.1:9; did you mean dia"),
    (WS, "coding=lines", r"coding: expected an option of ws://127.0.0.1:9"),
    ("wss://a", "trust-root=/none", r"trust-root /none: expected certificates .*No such file"),
    ("wss://a", "certificate=/none", r"certificate /none: expected .*/none: No such file"),
    ("wss://a", "trust-root=/dev/null", r"trust-root /dev/null: expected certificates in PEM"),
    ("wss://a", "certificate=/dev/null", r"certificate /dev/null: expected a certificate and"),
    ("tcp:", "", r"tcp:: expected a client endpoint description"),
    ("tcp:a:b", "", r"tcp:a:b: port b: expected a number, not the name of a service"),
    ("nonsense:1", "", r"nonsense:1: expected a client endpoint description"),
    ("tcp:a:1", "coding=hex", r"coding hex: expected one of binary, base64, lines, crlf-lines"),
    ("tcp:a:1", "dialect=hixie-76", r"dialect: expected an option of tcp:a:1"),
    ("static:/nonexistent", "", r"expected static:/PATH of an existing directory"),
    ("static:.", "index=x", r"index: expected an option of static:\.: origins, "),
    ("echo", "loud=true", r"loud: expected an option of echo: assume, pings, "),
)


@pytest.mark.parametrize(("service", "option", "expected"), MISTAKES)
def test_an_error_on_the_command_line_is_the_last_line_of_stderr(
    service: str, option: str, expected: str
) -> None:
    """The line has the option as the operator wrote it, the key and what was expected; the status
    is 1."""
    said = f"/x={service} {option}".rstrip()
    result = run_hixie("--serve", said, "--check")
    line = result.stderr.splitlines()[-1]
    assert line.startswith(f"hixie: --serve {said}: ")
    assert re.search(expected, line), line
    assert (result.returncode, result.stdout) == (1, "")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('dialect = "hixie-77"', r"dialect hixie-77: expected one of hixie-54"),
        ("compression = 1", r"compression 1: expected true or false"),
        ("compress = true", r"compress: expected an option of .*; did you mean compression\?"),
        ("dialect = 76", r"dialect 76: expected one of"),
        ('dialetc = "hixie-76"', r"dialetc: expected an option of .*; did you mean dialect\?"),
        ('path = "x"', r"TOML"),
        ('host = "*"', r"\*: expected a host name"),
    ],
)
def test_an_error_in_a_file_names_the_file_and_the_key(
    tmp_path: Path, line: str, expected: str
) -> None:
    """The error is in the second of two routes."""
    file = tmp_path / "hixie.toml"
    file.write_text(
        '[[serve]]\npath = "/"\nservice = "echo"\n'
        f'[[serve]]\npath = "/x"\nservice = "{WS}"\n{line}\n'
    )
    result = run_hixie("--config", str(file), "--check")
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"hixie: {file}: ")
    assert "TOML" in last or "serve, number 2" in last
    assert re.search(expected, last), last
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


def test_no_other_timeout_is_shorter_than_the_connect_timeout() -> None:
    """The decision timeout would end the wait earlier, with another status."""
    kind = next(option.kind for option in OPTIONS if option.name == "connect-timeout")
    for text, most in (("10", 30), ("120", 130)):
        said = {"connect-timeout": [Said("", text, kind.read_text(text))], "port": []}
        daemon = Daemon(object(), said)
        assert daemon.factory.limits.decide_timeout == most


def test_every_service_and_option_is_explained() -> None:
    """The page about the gateway names them all; the reference is generated from the tables."""
    text = (ROOT / "docs/howto/gateway.rst").read_text(encoding="utf-8")
    for service in SERVICES:
        for scheme in service.schemes:
            assert re.search(rf"``{scheme}\b", text), scheme
        for option in service.options:
            assert f"``{option.name}``" in text, option.name
