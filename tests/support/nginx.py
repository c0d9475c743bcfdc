"""nginx as a reverse proxy before a server, configured for WebSocket as its manual says."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.daemon import PATIENCE, free_port
from support.third_party import nginx

CONFIGURATION = """
daemon off;
master_process off;
pid %(directory)s/nginx.pid;
error_log %(directory)s/errors;
events {}
http {
    access_log off;
    client_body_temp_path %(directory)s/body;
    proxy_temp_path %(directory)s/proxy;
    fastcgi_temp_path %(directory)s/fastcgi;
    uwsgi_temp_path %(directory)s/uwsgi;
    scgi_temp_path %(directory)s/scgi;
    map $http_upgrade $connection_upgrade {
        default Upgrade;
        '' '';
    }
    upstream behind {
        server 127.0.0.1:%(upstream)d;
        keepalive 1;
    }
    server {
        listen 127.0.0.1:%(port)d;
        location / {
            proxy_pass http://behind;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Host $http_host;
        }
    }
}
"""


@contextmanager
def in_front(upstream: int, directory: Path) -> Iterator[int]:
    """
    Start one that keeps a connection to a port of 127.0.0.1, and end it in the end.

    :return: the port it listens on.
    """
    program, port = nginx(), free_port()
    configuration = directory / "nginx.conf"
    configuration.write_text(
        CONFIGURATION % {"directory": directory, "upstream": upstream, "port": port}, "utf-8"
    )
    process = subprocess.Popen(
        [program, "-p", directory, "-e", directory / "errors", "-c", configuration],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await(port, process, directory)
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _await(port: int, process: subprocess.Popen[bytes], directory: Path) -> None:
    """Until it listens."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"nginx does not listen: {(directory / 'errors').read_text('utf-8')}")
