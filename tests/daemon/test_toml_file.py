"""Files of options, and the report of ``--check``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from support.certificates import certificate
from support.daemon import run_hixie, running
from txhixie.daemon.options import OPTIONS
from txhixie.daemon.tap import Options
from txhixie.daemon.toml_file import read_configuration


def written(directory: Path, text: str) -> Path:
    path = directory / "hixie.toml"
    path.write_text(text, "utf-8")
    return path


EVERYTHING = """
port = [0, "tcp:0:interface=127.0.0.1"]
console = "/console"
origins = "null"
hosts = ["example.com", "example.com:8080"]
dialects = ["hixie-76", "rfc6455,hixie-75"]
max-message-size = 65536
max-frame-size = 1024
max-fragments = 7
max-messages-per-second = 2.5
max-bytes-per-second = 65536
max-held-bytes = 100000000
idle-timeout = 600
max-lifetime = 3600
ping-interval = 0
ping-timeout = 2.5
connect-timeout = 3
compression = false
serve = [
    "/echo=echo",
    {path = "/", host = "*.example.com", required-subprotocol = "x", service = "echo"},
]
"""


def test_a_file_and_the_command_line_give_the_same_values(tmp_path: Path) -> None:
    """Options of every kind are compared value by value."""
    words = "--port 0 --port tcp:0:interface=127.0.0.1 --console /console --origins null"
    words += " --hosts example.com --hosts example.com:8080 --dialects hixie-76 --dialects"
    words += " rfc6455,hixie-75 --max-message-size 65536 --max-frame-size 1024 --max-fragments 7"
    words += " --max-messages-per-second 2.5 --max-bytes-per-second 65536"
    words += " --max-held-bytes 100000000"
    words += " --idle-timeout 600 --max-lifetime 3600"
    words += " --ping-interval 0 --ping-timeout 2.5 --connect-timeout 3 --no-compression"
    said = Options()
    serve = ["--serve", "/echo=echo", "--serve", "*.example.com/=echo required-subprotocol=x"]
    said.parseOptions([*words.split(), *serve])
    file = read_configuration(written(tmp_path, EVERYTHING))
    for name, values in said.said.items():
        assert [str(one.value) for one in file[name]] == [str(one.value) for one in values]
    assert set(file) == set(said.said)


def test_every_option_can_be_in_a_file(tmp_path: Path) -> None:
    """The file and the command line share one table of options."""
    values = {"str": '"tcp:0"', "int": "1", "float": "1.5", "bool": "true", "dict": "{}"}
    for option in OPTIONS:
        text = values[option.kind.types[-1].__name__]
        try:
            read_configuration(written(tmp_path, f"{option.name} = {text}"))
        except ValueError as error:
            assert "expected an option" not in str(error)
    options = Options()
    assert all(hasattr(options, f"opt_{option.option.replace('-', '_')}") for option in OPTIONS)


def test_an_option_of_the_command_line_replaces_that_of_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, EVERYTHING)
    options = Options()
    options.parseOptions(["--hosts", "other", "--config", str(file), "--serve", "/=echo"])
    assert [one.value for one in options.said["hosts"]] == [["other"]]
    assert [one.text for one in options.said["serve"]] == ["/=echo"]
    assert [one.text for one in options.said["console"]] == ["/console"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pong-timeout = 1", "pong-timeout: expected an option; did you mean ping-timeout?"),
        ("[sevre]", "sevre: expected an option; did you mean serve?"),
        ('max-fragments = "7"', "max-fragments: 7: expected a number of fragments"),
        ("max-fragments = true", "max-fragments: true: expected a number of fragments"),
        ("max-fragments = [7]", "max-fragments: expected a number of fragments"),
        ("ping-timeout = 0", "ping-timeout: 0: expected more than 0 seconds"),
        ("ping-interval = inf", "ping-interval: inf: expected a number of seconds"),
        ("compression = 1", "compression: 1: expected true or false"),
        ('dialects = ["hixie-77"]', "dialects, number 1: hixie-77: expected names of dialects"),
        ("port = []", "port: expected at least one"),
        ("port = [1, 65536]", "port, number 2: 65536: expected a number from 0 to 65535"),
        ('port = ["ssl:1:privateKey=/none"]', "port, number 1: .*: expected .*No such file.*/none"),
        ("check = true", "check: expected an option"),
        ('serve = "x"', r"serve: x: expected \[HOST\]/PATH=SERVICE"),
        ("[[serve]]\nservice = 'echo'", "serve, number 1: expected the key path"),
        ("[[serve]]\npath = 1\nservice = 'echo'", "serve, number 1: path 1: expected text"),
        (
            "[[serve]]\npath = '/'\nservice = 'echo'\n[[serve]]\npath = '/x'\nservice = 'ecko'",
            "serve, number 2: expected a service: .*; did you mean echo?",
        ),
        (
            "[[serve]]\npath = '/'\nservice = 'echo'\ncoding = 'x'",
            "serve, number 1: coding: expected an option of echo: assume, .*, origins, ",
        ),
        ("serve = ['/=echo', '/=echo']", "serve, number 2: /=echo: expected one service for /"),
        ("port = ]", "expected TOML: .*line 1"),
        ("port = tcp:8080", "expected TOML: .*line 1.*; write text in quotation marks$"),
        (
            "[[serve]]\npath = '/'\nservice = 'tcp:127.0.0.1:1 coding=lines'",
            'serve, number 1: tcp:.* expected the service alone; .*: coding = "lines"$',
        ),
        (
            "[[serve]]\npath = '/'\nservice = 'ws://127.0.0.1:1 dialect=hixie-76 lenient=true'",
            'serve, number 1: .*: dialect = "hixie-76"; lenient = true$',
        ),
        ("\xe4 = 1", "expected TOML: "),
    ],
)
def test_an_error_names_the_file_the_key_and_what_was_expected(
    tmp_path: Path, text: str, expected: str
) -> None:
    file = written(tmp_path, text)
    result = run_hixie("--config", str(file), "--check")
    line = result.stderr.splitlines()[-1]
    assert re.match(f"hixie: {re.escape(str(file))}: {expected}", line), line
    assert result.returncode == 1
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["none.toml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    result = run_hixie("--config", str(tmp_path / name))
    assert re.search(r": expected a configuration file: \w+", result.stderr.splitlines()[-1])
    assert result.returncode == 1


def test_a_certificate_that_is_not_its_keys_is_found_before_anything_listens(
    tmp_path: Path,
) -> None:
    made = certificate()
    public = made.original.to_cryptography().public_bytes(Encoding.PEM)
    (tmp_path / "cert.pem").write_bytes(public)
    other = generate_private_key(SECP256R1())
    private = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(private)
    port = f"ssl:0:privateKey={tmp_path}/key.pem:certKey={tmp_path}/cert.pem"
    result = run_hixie("--port", port, "--check")
    assert re.match(
        "hixie: --port ssl:.*/cert.pem is not for the key in .*/key.pem$",
        result.stderr.splitlines()[-1],
    )
    assert result.returncode == 1


def test_check_prints_the_configuration_and_exits(tmp_path: Path) -> None:
    """No port is listened on: a port that is given twice would be in use."""
    file = written(tmp_path, EVERYTHING)
    result = run_hixie("--config", str(file), "--port", "1", "--port", "1", "--check")
    assert result.returncode == 0
    assert result.stderr == (
        "the console page at port 1 cannot connect: --origins has not its own origin; "
        "add it, such as http://127.0.0.1:1\n"
    )
    hosts = "hosts=example.com,example.com:8080"
    guards = "users=none; tokens=none; jwt-key=none; client-certificate=none"
    conditions = f"origins=null; {hosts}; dialects=hixie-76,rfc6455,hixie-75; quirks=none"
    assert result.stdout.splitlines() == [
        "port              1",
        "port              1",
        "serve             /echo=echo",
        "serve             *.example.com/=echo required-subprotocol=x",
        "console           /console",
        "status-allow      127.0.0.0/8 and ::1",
        "bus               local",
        "workers           1",
        "origins           null",
        "hosts             example.com",
        "hosts             example.com:8080",
        "dialects          hixie-76",
        "dialects          rfc6455,hixie-75",
        "quirks            none",
        "users             none",
        "realm             WebSocket",
        "tokens            none",
        "jwt-key           none",
        "jwt-issuer        any",
        "token-parameter   token",
        "client-certificate none",
        "flash-policy      none",
        "max-connections   0",
        "max-connections-per-address 0",
        "max-new-connections 0",
        "max-new-connections-per-address 0",
        "max-head-size     16384",
        "max-message-size  65536",
        "max-frame-size    1024",
        "max-fragments     7",
        "max-messages-per-second 2.5",
        "max-bytes-per-second 65536",
        "max-held-bytes    100000000",
        "ping-interval     0",
        "ping-timeout      2.5",
        "stall-timeout     300",
        "idle-timeout      600",
        "max-lifetime      3600",
        "stop-timeout      8",
        "drain             0",
        "connect-timeout   3",
        "compression       false",
        "connection-poller true",
        "keep-freed-memory true",
        f"conditions        /echo: {conditions}; {guards}",
        f"conditions        *.example.com/ required-subprotocol=x: {conditions}; {guards}",
        f"conditions        /console (console page): hosts=example.com,example.com:8080; {guards}",
    ]


def test_check_prints_the_default_values() -> None:
    lines = run_hixie("--check").stdout.splitlines()
    assert lines[:3] == [
        "port              8080",
        "serve             /=echo",
        "console           /",
    ]
    assert "max-message-size  1048576" in lines
    lines = run_hixie("--check", "--serve", "/x=echo").stdout.splitlines()
    assert [line for line in lines if line.startswith(("serve", "console"))] == [
        "serve             /x=echo"
    ]


def test_a_daemon_runs_with_the_options_of_a_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'hosts = "example.com"\n[[serve]]\npath = "/a"\nservice = "echo"\n')
    with running(tmp_path, "--config", str(file)) as daemon, daemon.connect() as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n")
        peer.sendall(b"Host: example.com\r\n\r\n")
        assert peer.recv(12) == b"HTTP/1.1 404"


def test_the_name_of_a_flag_on_the_command_line_is_not_its_name_in_a_file(tmp_path: Path) -> None:
    path = written(tmp_path, "no-compression = true")
    with pytest.raises(ValueError, match=r"no-compression: .* write compression = false$"):
        read_configuration(path)
