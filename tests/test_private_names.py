"""Names of other libraries: each library is a declared dependency, and each private name is
listed.

The tests check what the package expects of each private name. A version of a library without such
a name fails here, and not in a program.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from inspect import signature
from typing import Any, Final
from unittest.mock import MagicMock

import pytest
from OpenSSL import SSL
from OpenSSL._util import ffi, lib
from packaging.requirements import Requirement
from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogBeginner, Logger, LogPublisher, textFileLogObserver
from twisted.python.failure import Failure
from twisted.scripts._twistd_unix import UnixAppLogger
from twisted.web.http import HTTPFactory, _ChunkedTransferDecoder
from twisted.web.server import Site

from test_floors import MODULES, imports, tree
from test_setup import told

# Dependencies.

NAMES: Final = {
    "jwt": "pyjwt",
    "nats": "nats-py",
    "openssl": "pyopenssl",
    "prometheus_client": "prometheus-client",
    "service_identity": "service-identity",
    "zope": "zope-interface",
}
"""Packages that are imported by another name than the one they are installed by."""


EXTRA: Final = {
    "bcrypt": "users",
    "h2": "http2",
    "hiredis": "redis",
    "hypothesis": "test",
    "jwt": "jwt",
    "nats": "nats",
    "prometheus_client": "metrics",
    "prompt_toolkit": "cli",
    "txredisapi": "redis",
}
"""Packages that only some programs import, and the extras that ask for them."""


def asked_by(lines: Iterable[str]) -> set[str]:
    """Parse requirements; the result is by the name of the distribution."""
    return {Requirement(line).name for line in lines}


def test_every_imported_library_is_a_declared_dependency() -> None:
    """A library that only another dependency requires may be missing one day. No declared
    dependency is unused."""
    imported: dict[str, str] = {}
    for module in MODULES:
        for name, _ in imports(module):
            imported.setdefault(name.split(".")[0], module)
    others = {name.lower() for name in imported.keys() - sys.stdlib_module_names} - {"txhixie"}
    assert EXTRA.keys() <= others
    needed = {NAMES.get(name, name) for name in others - EXTRA.keys()}
    assert needed == asked_by(told("install_requires"))
    for name, extra in EXTRA.items():
        assert NAMES.get(name, name) in asked_by(told("extras_require")[extra])


# Private names.

PUBLIC: Final = {"_replace", "_asdict", "_fields"}
"""Of named tuples: documented, with an underscore so that no field can have the name."""

OWN: Final = {
    ("connection/protocol.py", "each"),
    ("sansio/wire/hybi.py", "twin"),
    ("sansio/wire/hixie.py", "twin"),
    ("web.py", "resource"),
}
"""Modules and variables that hold another object of our own class."""

BY_NAME: Final = ("getattr", "setattr", "hasattr")

PINNED: Final = {
    "_Compress": "zlib, for types alone",
    "_Decompress": "zlib, for types alone",
    "_buffer": "HTTPChannel",
    "_callbacks": "Deferred",
    "_channel": "what Site.buildProtocol answers",
    "_command": "HTTPChannel",
    "_conn": "H2Stream",
    "_dataBuffer": "HTTPChannel",
    "_debugInfo": "Deferred",
    "_exit": "os",
    "_getLogObserver": "AppLogger",
    "_handlingRequest": "HTTPChannel",
    "_logger": "tcp.Port",
    "_networkProducer": "HTTPChannel",
    "_path": "HTTPChannel",
    "_ps": "nats.aio.client.Client",
    "_requestDone": "H2Connection",
    "_respondToBadRequestAndDisconnect": "HTTPChannel",
    "_savedTimeOut": "HTTPChannel",
    "_ssl": "OpenSSL.SSL.Connection",
    "_tempDataBuffer": "FileDescriptor",
    "_tempDataLen": "FileDescriptor",
    "_temporaryObserver": "LogBeginner",
    "_transferDecoder": "HTTPChannel",
    "_transport": "nats.aio.client.Client",
    "_tryToWriteControlData": "H2Connection",
    "_twistd_unix": "twisted.scripts",
    "_util": "OpenSSL",
    "_waitingForTransport": "HTTPChannel",
}
"""Private names of other libraries, with the library of each."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC and name != "_"


def of_our_classes() -> set[str]:
    """Private names that a class or module of the package defines."""
    made: set[str] = set()
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                made.add(node.name)
            elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Store):
                if isinstance(node, ast.Name):
                    made.add(node.id)
                elif ast.unparse(node.value) == "self":
                    made.add(node.attr)
    return made


def of_others(module: str, ours: set[str]) -> Iterator[str]:
    """The private names of other libraries' objects that a module uses."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            holder = ast.unparse(node.value)
            mine = holder in ("self", "cls", "super()") and node.attr in ours
            if not mine and (module, holder) not in OWN:
                yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in BY_NAME:
            holder, name = ast.unparse(node.args[0]), ast.unparse(node.args[1]).strip("'")
            if holder != "self" and is_private(name):
                yield name
        elif isinstance(node, ast.ImportFrom) and not node.level:
            words = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from filter(is_private, words)


def test_every_private_name_of_other_libraries_is_listed() -> None:
    """Add each new private name to the list, and remove each unused one."""
    ours = of_our_classes()
    assert {name for module in MODULES for name in of_others(module, ours)} == set(PINNED)


# What we expect of each.


@pytest.fixture
def channel() -> Iterator[Any]:
    """A channel of twisted.web in the middle of a request's head."""
    site: Any = HTTPFactory(reactor=Clock())
    made = site.buildProtocol(None)._channel
    made.makeConnection(StringTransport())
    yield made
    made.connectionLost(Failure(ConnectionDone()))


def test_the_protocol_of_a_Site_has_its_channel_in_one_attribute() -> None:
    protocol: Any = Site(None, reactor=Clock()).buildProtocol(None)
    assert hasattr(protocol._channel, "requestFactory")


def test_a_channel_keeps_unparsed_bytes_in_two_attributes(channel: Any) -> None:
    """Within a head in ``_buffer``; behind the head in ``_dataBuffer``, a list."""
    assert channel._dataBuffer == []
    channel.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\nX")
    assert channel._buffer == b"X"
    assert (channel._command, channel._path) == (b"GET", b"/")
    assert not channel._handlingRequest
    channel.dataReceived(b": y\r\n\r\nmore")
    assert channel._handlingRequest is True
    kept = b"".join(channel._dataBuffer) + channel._buffer
    assert kept == b"more"


def test_a_channel_counts_a_chunked_body_in_its_decoder(channel: Any) -> None:
    channel.dataReceived(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    )
    assert isinstance(channel._transferDecoder, _ChunkedTransferDecoder)
    assert callable(channel._transferDecoder.dataCallback)


def test_a_channel_is_its_transports_producer_by_another_object(channel: Any) -> None:
    assert channel.transport.producer is channel
    producer = channel._networkProducer
    for name in ("pauseProducing", "resumeProducing", "unregisterProducer"):
        assert callable(getattr(producer, name))
    assert channel._waitingForTransport is False
    channel.pauseProducing()
    assert channel._waitingForTransport is True


def test_a_channel_saves_its_timeout_during_a_response(channel: Any) -> None:
    channel.setTimeout(60)
    channel.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert channel._savedTimeOut == 60
    assert channel.timeOut is None


def test_a_channel_refuses_bad_requests_by_a_method(channel: Any) -> None:
    refused: list[bool] = []
    channel._respondToBadRequestAndDisconnect = lambda: refused.append(True)
    channel.dataReceived(b"nonsense\r\n")
    assert refused


def test_a_stream_of_HTTP_2_has_a_reference_to_its_connection() -> None:
    http2 = pytest.importorskip("twisted.web._http2", reason="pip install 'twisted[http2]'")
    connection = http2.H2Connection(Clock())
    stream = http2.H2Stream(1, connection, {}, MagicMock(), None, None)
    assert stream._conn is connection
    assert callable(connection.callLater)
    assert list(signature(connection._requestDone).parameters) == ["streamID"]
    connection.makeConnection(StringTransport())
    assert connection._tryToWriteControlData() is True


def test_a_transport_keeps_unsent_bytes_in_two_buffers() -> None:
    """The later bytes are in a list, with a count of its bytes."""
    descriptor: Any = FileDescriptor(Clock())  # type: ignore[arg-type]  # a clock is enough for this test
    descriptor.connected = True
    descriptor.startWriting = lambda: None
    assert (descriptor._tempDataBuffer, descriptor._tempDataLen) == ([], 0)
    descriptor.write(b"abc")
    assert (descriptor._tempDataBuffer, descriptor._tempDataLen) == ([b"abc"], 3)
    assert (descriptor.dataBuffer, descriptor.offset) == (b"", 0)


def test_a_port_logs_by_a_logger_of_its_class() -> None:
    """The logger's observer can be replaced."""
    logger: Any = tcp.Port._logger
    assert isinstance(logger, Logger)
    assert logger.namespace.startswith("twisted.internet.tcp")
    assert callable(logger.observer)


def test_a_Deferred_has_its_callbacks_and_its_note_for_the_log() -> None:
    deferred: Any = Deferred()
    assert not deferred._callbacks
    deferred.errback(ZeroDivisionError())
    assert deferred._debugInfo.failResult.check(ZeroDivisionError)
    deferred._debugInfo.failResult = None
    waiting: Any = Deferred()
    waiting.addBoth(lambda _: None)
    assert waiting._callbacks


def test_a_log_beginner_discards_its_buffer_when_it_begins() -> None:
    class Stream:
        def write(self, data: str) -> None: ...

        def flush(self) -> None: ...

    stream: Any = Stream()
    warnings: Any = type("W", (), {"showwarning": None})
    system: Any = type("S", (), {"stdout": None, "stderr": None})
    beginner: Any = LogBeginner(LogPublisher(), stream, system, warnings)
    assert beginner._temporaryObserver is not None
    beginner.beginLoggingTo([], redirectStandardIO=False)
    assert beginner._temporaryObserver is None


def test_OpenSSL_has_the_result_of_verifying_a_certificate() -> None:
    """pyOpenSSL has no public name for ``SSL_get_verify_result``."""
    connection: Any = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    assert lib.SSL_get_verify_result(connection._ssl) == 0
    words = bytes(ffi.string(lib.X509_verify_cert_error_string(10))).decode()
    assert re.search("expired", words)


def test_zlib_has_the_types_of_its_streams() -> None:
    """The names of typeshed, which only type checkers see."""
    assert not hasattr(zlib, "_Compress")
    assert callable(zlib.compressobj().compress)


def test_the_logger_of_twistd_makes_an_observer_of_another_format() -> None:
    """tests/daemon/test_json_log.py uses it; ``twisted.scripts.twistd`` has no public logger."""
    assert callable(UnixAppLogger._getLogObserver)
    assert textFileLogObserver(io.StringIO()).formatEvent is not None
