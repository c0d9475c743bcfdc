"""Daemons with targets: real files, changed while the daemon runs, and backends on real sockets."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.blocking_peer import answer, connected
from support.daemon import PATIENCE, Daemon, configured, free_port, run_hixie, running
from support.handshake_bytes import accept_for, status_of, whole_request

BEARER = "0123456789abcdef-one"


@contextlib.contextmanager
def backend(name: str, path: Path | None = None) -> Iterator[str]:
    """A service of bytes that sends its name; yields its target in the words of websockify."""
    listening = socket.socket(socket.AF_INET if path is None else socket.AF_UNIX)
    listening.bind(("127.0.0.1", 0) if path is None else str(path))
    listening.listen()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listening.accept()
                with peer:
                    peer.sendall(f"{name}!".encode())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        port = 0 if path is not None else listening.getsockname()[1]
        yield f"unix_socket:{path}" if path is not None else f"127.0.0.1:{port}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(PATIENCE)


def ask(
    daemon: Daemon, target: str, *fields: str, host: str = "localhost"
) -> tuple[int | None, str]:
    """Ask for a target: the status, and the name of the backend or the body of the refusal."""
    request = whole_request("rfc6455", *fields, target=target, host=host, origin=None)
    with connected(daemon.port, beginning=request) as peer:
        data = answer(peer)
        status = status_of(data)
        body = data.partition(b"\r\n\r\n")[2]
        wanted = re.compile(rb"[a-z]+!" if status == 101 else rb"[a-z ]+\n")
        while (found := wanted.search(body)) is None and (more := peer.recv(65536)):
            body += more
    return status, found[0].decode("ascii").strip() if found else ""


def replace_with(file: Path, *lines: str) -> None:
    """Write a file as an editor does: a new one, which replaces the old one."""
    new = file.parent / f".{file.name}.new"
    new.write_text("".join(f"{line}\n" for line in lines))
    new.replace(file)


NOBODY = "no target for this request"


def test_a_token_that_is_added_while_the_daemon_runs_leads_to_its_target(tmp_path: Path) -> None:
    file = tmp_path / "targets"
    with backend("one") as one, backend("two", tmp_path / "socket") as two:
        replace_with(file, "# websockify", "", f"vm1: {one}")
        with running(tmp_path, "--serve", f"/vnc=targets:{file}") as daemon:
            assert ask(daemon, "/vnc?token=vm1") == (101, "one!")
            assert ask(daemon, "/vnc?token=vm2") == (404, NOBODY)
            replace_with(file, f"vm1: {one}", f"vm2: {two}")
            assert ask(daemon, "/vnc?token=vm2") == (101, "two!")
            replace_with(file, f"vm2: {two}")
            daemon.logged_times("file-reread", 1)
            deadline = time.monotonic() + PATIENCE
            while ask(daemon, "/vnc?token=vm1")[0] == 101:
                assert time.monotonic() < deadline
            assert ask(daemon, "/vnc?token=vm1") == (404, NOBODY)
            assert ask(daemon, "/vnc?token=vm2") == (101, "two!")


def test_a_file_that_is_being_written_lets_a_client_wait_for_the_rest(tmp_path: Path) -> None:
    """The half of a line is never used, and the client gets in without another attempt."""
    file = tmp_path / "targets"
    with backend("one") as one:
        file.write_text("")
        with (
            running(tmp_path, "--serve", f"/vnc=targets:{file}") as daemon,
            file.open("w") as writing,
        ):
            writing.write(f"vm1: {one}\nvm2: {one}"[:-1])
            writing.flush()
            request = whole_request("rfc6455", target="/vnc?token=vm2", origin=None)
            with connected(daemon.port, beginning=request) as waiting:
                assert ask(daemon, "/vnc?token=vm1") == (101, "one!")
                writing.write(one[-1])
                writing.flush()
                assert status_of(answer(waiting)) == 101


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/vnc", 404),
        ("/vnc?token=", 404),
        ("/vnc?token=vm", 404),
        ("/vnc?token=VM1", 404),
        ("/vnc?token=vm1&token=vm2", 400),
        ("/vnc?token=vm1&token=vm1", 400),
        ("/vnc?token=vm1%0A", 404),
        ("/vnc?token=vm1%00", 404),
        ("/vnc?token=..%2Ftargets", 404),
        ("/vnc?token=%2Fetc%2Fpasswd", 404),
        ("/vnc?token=127.0.0.1:22", 404),
        ("/vnc?token=%23", 404),
        ("/vnc?host=127.0.0.1&port=22", 404),
        ("/vnc?token=" + "x" * 12_000, 404),
        ("/vnc?token=" + "x" * 1_000_000, None),
        ("/vnc?" + "token=&" * 1_500, 404),
    ],
    ids=range(16),
)
def test_a_request_without_a_known_token_is_refused(
    hostile: Daemon, target: str, status: int | None
) -> None:
    """The refusals do not differ, so that they say nothing about other tokens."""
    if status is None:
        request = whole_request("rfc6455", target=target, origin=None)
        with connected(hostile.port) as peer, contextlib.suppress(OSError):
            peer.sendall(request)
            assert status_of(answer(peer)) in (414, 431)
    else:
        assert ask(hostile, target)[0] == status
        assert ask(hostile, "/vnc?token=vm1") == (101, "one!")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with a target."""
    directory = tmp_path_factory.mktemp("hostile")
    with backend("one") as one:
        replace_with(directory / "targets", f"vm1: {one}")
        with running(directory, "--serve", f"/vnc=targets:{directory / 'targets'}") as daemon:
            yield daemon


@pytest.mark.parametrize("place", ["query", "path", "host"])
def test_no_token_is_in_the_log(tmp_path: Path, place: str) -> None:
    """For a host there is no secret: DNS and TLS show it to the network."""
    file = tmp_path / "targets"
    targets = {"query": "/vnc?id=secret", "path": "/vnc/secret", "host": "/vnc"}
    options = "target-parameter=id" if place == "query" else f"target-from={place}"
    host = "vm1.example.com" if place == "host" else "localhost"
    with backend("one") as one:
        replace_with(file, f"{'VM1.example.com' if place == 'host' else 'secret'}: {one}")
        with running(
            tmp_path, "--serve", f"/vnc=targets:{file} {options}", "--serve", "/=static:."
        ) as daemon:
            assert ask(daemon, targets[place], host=host) == (101, "one!")
            wrong = targets[place] + ("" if place == "host" else "2")
            assert ask(daemon, wrong, host="other")[0] == 404
            with connected(
                daemon.port, beginning=f"GET {targets[place]} HTTP/1.0\r\n\r\n".encode()
            ) as peer:
                answer(peer)
            daemon.logged(" page ")
            daemon.logged(" refused ")
            daemon.logged(" ended ")
            daemon.terminate()
            daemon.ended()
            assert "secret" not in daemon.log
            assert re.search(r"token of a target: (parameter id|path after|Host)", daemon.log)


def test_a_token_of_a_condition_and_that_of_a_target_have_different_names(tmp_path: Path) -> None:
    (tmp_path / "bearer").touch(0o600)
    (tmp_path / "bearer").write_text(f"{BEARER}\n")
    file = tmp_path / "targets"
    with backend("one") as one:
        replace_with(file, f"vm1: {one}")
        route = f"/vnc=targets:{file} tokens={tmp_path / 'bearer'}"
        ended = run_hixie("--serve", route, "--check")
        assert ended.returncode == 1
        assert "target-parameter token: expected another name" in ended.stderr
        with running(tmp_path, "--serve", f"{route} token-parameter=access") as daemon:
            assert ask(daemon, f"/vnc?token=vm1&access={BEARER}") == (101, "one!")
            assert ask(daemon, "/vnc?token=vm1", f"Authorization: Bearer {BEARER}")[0] == 101
            assert ask(daemon, "/vnc?token=vm1")[0] == 401
            assert ask(daemon, f"/vnc?access={BEARER}")[0] == 404


def test_a_target_may_be_a_websocket_server_which_does_not_get_the_token(tmp_path: Path) -> None:
    """Of several backends, the first one that can be reached."""
    port = free_port()
    gone = free_port()
    (tmp_path / "inner").mkdir()
    file = tmp_path / "targets"
    replace_with(file, f"vm1: ws://127.0.0.1:{gone} ws://127.0.0.1:{port}")
    inner = ("--port", f"tcp:{port}:interface=127.0.0.1", "--serve", "/vnc/x=echo")
    with (
        running(tmp_path / "inner", *inner) as behind,
        running(
            tmp_path,
            *("--serve", f"/vnc=targets:{file} target-from=path"),
            *("--trace", "/vnc", "--flight-recorder"),
        ) as daemon,
    ):
        request = whole_request("rfc6455", target="/vnc/vm1/x?a=b", origin=None)
        with connected(daemon.port, beginning=request) as peer:
            data = answer(peer)
            assert accept_for(request).encode() in data
            peer.sendall(b"\x81\x82\0\0\0\0hi")
            assert peer.recv(4) == b"\x81\x02hi"
        assert 'target="/vnc/x?a=..."' in behind.logged(" opened ")
        daemon.logged(f"backend-down backend=ws://127.0.0.1:{gone}")
        daemon.logged('direction=received head="GET /vnc/.../x?a=... HTTP/1.1"')
        daemon.logged("recorded connection=")
        assert "vm1" not in daemon.log


def test_a_directory_of_files_is_read_with_its_changes(tmp_path: Path) -> None:
    """A file for each machine, whose name is the token; and a FIFO, which blocks nothing."""
    machines = tmp_path / "machines"
    machines.mkdir()
    with backend("one") as one, backend("two") as two:
        replace_with(machines / "vm1", one)
        text = f'port = "{{port}}"\n[[serve]]\npath = "/"\ntargets = {json.dumps(str(machines))}\n'
        with configured(tmp_path, text) as daemon:
            assert ask(daemon, "/?token=vm1") == (101, "one!")
            replace_with(machines / "list", f"vm2: {two}")
            assert ask(daemon, "/?token=vm2") == (101, "two!")
            os.mkfifo(machines / "fifo")
            replace_with(machines / "vm3", two)
            assert ask(daemon, "/?token=vm3") == (101, "two!")
            assert "fifo: expected a regular file" in daemon.logged("file-not-reread")


def test_a_reload_reads_the_targets_again_and_keeps_what_is_right(tmp_path: Path) -> None:
    file = tmp_path / "targets"
    text = f'port = "{{port}}"\n[[serve]]\npath = "/"\ntargets = {json.dumps(str(file))}\n'
    with backend("one") as one, backend("two") as two:
        replace_with(file, f"vm1: {one}")
        with configured(tmp_path, text) as daemon:
            replace_with(file, f"vm1: {two}")
            daemon.reload()
            assert ask(daemon, "/?token=vm1") == (101, "two!")
            replace_with(file, f"vm1: {one}", "vm2")
            daemon.terminate(signal.SIGHUP)
            assert "targets, line 2: expected TOKEN: TARGET" in daemon.logged("not-reloaded")
            assert ask(daemon, "/?token=vm1") == (101, "two!")


def test_check_says_which_line_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "targets"
    replace_with(file, "vm1: host:1", "", "secret: host:70000")
    ended = run_hixie("--serve", f"/=targets:{file}", "--check")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith(
        f"{file}, line 3: expected a port from 1 to 65535, not 70000"
    )
    assert "secret" not in ended.stderr
    replace_with(file, "vm1: host:1")
    ended = run_hixie("--serve", f"/=targets:{file} pings=relay coding=binary", "--check")
    assert f"/=targets:{file} pings=relay coding=binary" in ended.stdout
