"""Files of targets: the format of websockify, and what is wrong with a line."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path

import pytest

from txhixie.daemon.target_file import merged, parse_target, parse_targets, read_file


def allowed(text: str) -> None:
    """Check nothing."""


def refuse(text: str) -> None:
    raise ValueError(f"expected another target than {text}")


WEBSOCKIFY = b"""\
# Written by a portal; comments, blank lines and blanks around a line are skipped.
vm1: 10.0.0.1:5900

   vm2:   example.com:5901  \r
#vm3: 10.0.0.3:5900
a:b: localhost:5902
two words: localhost:5903
sock: unix_socket:/run/vnc/one.sock
v6: ::1:5904
v6b: [2001:db8::1]:5905
vm1: 10.0.0.9:5900
"""


def test_a_file_of_websockify_is_read_unchanged() -> None:
    """The last line of a token counts."""
    assert parse_targets(WEBSOCKIFY, allowed) == {
        "vm1": "tcp:10.0.0.9:5900",
        "vm2": "tcp:example.com:5901",
        "a:b": "tcp:localhost:5902",
        "two words": "tcp:localhost:5903",
        "v6": "tcp:\\:\\:1:5904",
        "v6b": "tcp:2001\\:db8\\:\\:1:5905",
        "sock": "unix:/run/vnc/one.sock",
    }


@pytest.mark.parametrize(
    "target",
    [
        "ws://host/",
        "wss://host:8443/path?a=b",
        "tcp:10.0.0.1:5900",
        "tls:host:443",
        "ws://one:9000 ws://two:9000",
    ],
)
def test_a_target_may_be_the_description_of_a_backend(target: str) -> None:
    seen: list[str] = []
    assert parse_targets(f"token: {target}\n".encode(), seen.append) == {"token": target}
    assert seen == [target]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("10.0.0.1:5900 10.0.0.2:5901", "tcp:10.0.0.1:5900 tcp:10.0.0.2:5901"),
        ("one:5900 \t two:5901", "tcp:one:5900 tcp:two:5901"),
        ("[::1]:5900 ::2:5901 one:5902", "tcp:\\:\\:1:5900 tcp:\\:\\:2:5901 tcp:one:5902"),
        ("tcp:10.0.0.1:5900 10.0.0.2:5901", "tcp:10.0.0.1:5900 tcp:10.0.0.2:5901"),
        ("10.0.0.1:5900 ws://two:9000/a", "tcp:10.0.0.1:5900 ws://two:9000/a"),
        ("unix_socket:/run/a b unix_socket:/run/c", "unix:/run/a b unix:/run/c"),
    ],
)
def test_a_target_may_be_several_backends_of_any_kind_with_blanks_between(
    target: str, expected: str
) -> None:
    assert parse_targets(f"token: {target}\n".encode(), allowed) == {"token": expected}


def test_hosts_and_ports_alone_need_no_check() -> None:
    assert parse_target("one:1 two:2", refuse) == "tcp:one:1 tcp:two:2"


@pytest.mark.parametrize("data", [b"", b"\n", b"# none\n", b"\r\n\r\n"])
def test_a_file_may_have_no_target(data: bytes) -> None:
    """A portal removes the last machine."""
    assert parse_targets(data, refuse) == {}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"secret", "expected TOKEN: TARGET, with a target such as"),
        (b"secret 10.0.0.1:5900", "expected TOKEN: TARGET, with a colon and a blank after"),
        (b"secret:10.0.0.1:5900", "expected TOKEN: TARGET, with a colon and a blank after"),
        (b"secret: nowhere", "expected TOKEN: TARGET"),
        (b": 10.0.0.1:5900", "expected TOKEN: TARGET"),
        (b"secret: host:0", "expected a port from 1 to 65535, not 0"),
        (b"secret: host:65536", "expected a port from 1 to 65535, not 65536"),
        (b"secret: host:" + b"9" * 5000, "expected a port from 1 to 65535, not 999999"),
        (b"secret: host:59x", "expected another target than host:59x"),
        (b"secret: http://host/", "expected another target"),
        (b"secret: host:5900 # the lab", "expected a comment in a line of its own, and no #"),
        (b"secret: ws://host:1 host:2 # lab", "expected a comment in a line of its own, and no #"),
        (b"secret: nowhere host:5900", "expected TOKEN: TARGET, with a target such as"),
        (b"secret: host:5900 host:0", "expected a port from 1 to 65535, not 0"),
        (b"secret\xff: host:1", "expected UTF-8"),
    ],
)
def test_a_wrong_line_is_named_by_its_number_and_without_its_token(
    line: bytes, expected: str
) -> None:
    with pytest.raises(ValueError, match=r"^line 3: " + re.escape(expected)) as error:
        parse_targets(b"# one\nvm1: host:1\n" + line + b"\nvm4: host:1\n", refuse)
    assert "secret" not in str(error.value)


def test_a_comment_may_have_any_bytes() -> None:
    assert parse_targets(b"# caf\xe9\nvm: host:1", refuse) == {"vm": "tcp:host:1"}


def test_a_file_in_a_directory_may_have_a_target_alone() -> None:
    """The name of the file is the token, as for websockify's plugin TokenFileName."""
    assert parse_targets(b"# vm\nlocalhost:5900\n", refuse, "vm1") == {"vm1": "tcp:localhost:5900"}
    assert parse_targets(b"unix_socket:/run/x", allowed, "vm1") == {"vm1": "unix:/run/x"}
    assert parse_targets(b"other: localhost:5900", refuse, "vm1") == {"other": "tcp:localhost:5900"}


@pytest.mark.parametrize("second", [b"localhost:5901", b"vm2: localhost:5901"])
def test_a_target_alone_is_the_only_line_of_its_file(second: bytes) -> None:
    with pytest.raises(ValueError, match=r"^line 2: expected no further line, since line 1 has no"):
        parse_targets(b"localhost:5900\n" + second, refuse, "vm1")
    with pytest.raises(ValueError, match=r"^line 2: expected TOKEN: TARGET"):
        parse_targets(b"vm2: localhost:5901\nlocalhost:5900\n", refuse, "vm1")


def test_the_last_file_counts_if_a_token_is_in_several() -> None:
    files = {Path("b"): {"x": "2", "y": "2"}, Path("c"): {"z": "3"}, Path("a"): {"x": "1"}}
    assert merged(files) == {"x": "2", "y": "2", "z": "3"}


def test_a_host_and_its_port_are_never_taken_for_an_endpoint_of_another_kind() -> None:
    """A machine may be called tcp, or ws."""
    assert parse_target("tcp:5900", refuse) == "tcp:tcp:5900"
    assert parse_target("ws:5900", refuse) == "tcp:ws:5900"


def test_a_long_line_is_read_in_linear_time() -> None:
    for line in (
        b"a: " + b" " * 200_000 + b"x",
        b"a:" * 200_000,
        b"a: " + b"1:" * 99_999,
        b"a: a:x " + b" b" * 99_999,
    ):
        began = time.process_time()
        with pytest.raises(ValueError, match=r"^line 1: "):
            parse_targets(line, refuse)
        assert time.process_time() - began < 5


def test_a_FIFO_a_socket_and_a_directory_are_no_files(tmp_path: Path) -> None:
    """To open a FIFO would block the daemon until a program writes into it."""
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(ValueError, match=r"^expected a regular file$"):
            read_file(tmp_path / "fifo")
        with pytest.raises(OSError, match="No such device"):
            read_file(tmp_path / "socket")
    with pytest.raises(OSError, match="directory"):
        read_file(tmp_path)


def test_a_file_that_is_too_large_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"^expected a file of at most 67108864 bytes"):
        read_file(path)


def test_a_byte_order_mark_is_no_part_of_the_first_token(tmp_path: Path) -> None:
    path = tmp_path / "targets"
    path.write_text("vm1: host:1\n", encoding="utf-8-sig")
    assert parse_targets(read_file(path), refuse) == {"vm1": "tcp:host:1"}
