"""nginx as a reverse proxy before a server, configured for WebSocket as its manual says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.reverse_proxies import running
from support.daemon import free_port
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
    command: list[str | Path] = [
        program,
        "-p",
        directory,
        "-e",
        directory / "errors",
        "-c",
        configuration,
    ]
    with running(command, [port], directory):
        yield port
