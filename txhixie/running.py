"""A server as a whole program: listens, logs, prints its URLs, and closes its connections."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, Never, TextIO, Unpack, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import FileLogObserver, globalLogBeginner, textFileLogObserver
from twisted.python.failure import Failure

from .display import expectation
from .interfaces import WebSocketServerFactory
from .server.accepting import foldAcceptLines
from .server.both_families import BothFamiliesEndpoint
from .server.factory import HixieServerFactory, ServerOptions
from .server.listen_queue import serverEndpoint
from .server.port_check import TLS_SCHEMES, check_port

_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 (only shown)


class RunOptions(ServerOptions, total=False):
    """Options of :func:`run`: those of :class:`txhixie.HixieServerFactory`."""

    elsewhere: IProtocolFactory | None


def run(
    description: str | int | Iterable[str | int],
    applications: WebSocketServerFactory | IProtocolFactory,
    *more: Never,
    **options: Unpack[RunOptions],
) -> None:
    """
    Serve applications until SIGINT or SIGTERM, with the installed reactor.

    The log is written to standard output, unless the program has set up another log. The URL of
    each port is printed to standard output. The function returns when the reactor has stopped.
    Before that, every connection is closed with 1001, within at most ``Limits.stop_timeout``; a
    second signal aborts the connections.

    :param description: the port or ports: a TCP port number, for both IPv4 and IPv6; a server
        endpoint description of Twisted, such as ``tcp:8080:interface=127.0.0.1`` or
        ``ssl:8443:privateKey=key.pem:certKey=cert.pem``; or a list of these.
    :param applications: an object as for :class:`txhixie.HixieServerFactory`; or, without options,
        a factory, such as a ``twisted.web`` ``Site`` with a :class:`txhixie.web.HixieResource`.
    :param more: no arguments: an address and a port are written as one description.
    :param options: options of :class:`txhixie.HixieServerFactory`; ``logConnections`` is ``True``
        by default.
    :raises SystemExit: with one line for standard error and status 1, for an invalid description,
        an invalid certificate, and a port that cannot be opened.
    :raises TypeError: as :class:`txhixie.HixieServerFactory` does.
    """
    from twisted.internet import reactor

    if more:
        raise TypeError(
            "run: expected a description and the applications; "
            'write run("tcp:8080:interface=127.0.0.1", ...)'
        )
    descriptions = _descriptions(description)
    factory = _factory(applications, options)
    beginLogging(sys.stdout)
    raiseFileLimit()
    foldAcceptLines(cast(Any, reactor), getattr(factory, "counters", None))
    _Program(cast(Any, reactor), factory).run(descriptions)


def _descriptions(description: object) -> list[str]:
    several = description if isinstance(description, list | tuple) else [description]
    for each in several:
        if not isinstance(each, str | int) or isinstance(each, bool):
            raise TypeError(
                "description: expected a port number, an endpoint description or a list of these, "
                f"not {type(each).__name__}; write 8080 or 'tcp:8080:interface=127.0.0.1'"
            )
    return [str(each) for each in several]


def _factory(applications: Any, options: RunOptions) -> Any:
    if not IProtocolFactory.providedBy(applications):
        options.setdefault("logConnections", True)
        return HixieServerFactory(applications, **options)
    if options:
        raise TypeError(
            f"run: unexpected options for a factory: {', '.join(options)}; "
            "pass these to the factory itself"
        )
    return applications


class _Program:
    """The program of :func:`run`: one factory that listens on several endpoints."""

    def __init__(self, reactor: Any, factory: Any) -> None:
        self._reactor = reactor
        self._factory = factory
        self._problem: BaseException | None = None

    def run(self, descriptions: Iterable[str]) -> None:
        endpoints = [(text, _endpoint(self._reactor, text)) for text in descriptions]
        for text, endpoint in endpoints:
            listening = endpoint.listen(self._factory)
            listening.addCallback(self._listens, text).addErrback(self._fails, text)
            if self._problem is not None:
                raise self._problem
        self._reactor.run()
        if self._problem is not None:
            raise self._problem

    def _listens(self, port: IListeningPort, text: str) -> None:
        hasPages = getattr(self._factory, "elsewhere", self._factory) is not None
        url = urlOf(port, text, "http" if hasPages else "ws") or text
        sys.stdout.write(f"listening on {url}\n")
        sys.stdout.flush()

    def _fails(self, failure: Failure, text: str) -> None:
        """Keep a failure to listen: one line for the operator, or the error of the program."""
        error = failure.value
        if not _isOperators(failure):
            self._problem = error
        else:
            self._problem = SystemExit(f"cannot listen on {text}: {whyNot(failure)}")
            self._problem.__suppress_context__ = True
        if self._reactor.running:
            self._reactor.stop()


def _isOperators(failure: Failure) -> bool:
    """
    Whether a failure to listen is an error of the port, which the operator can correct.

    An error of the factory's ``doStart`` is raised by ``listen`` too.
    """
    if any(frame[0] == "doStart" for frame in failure.frames):
        return False
    return isinstance(failure.value, CannotListenError | OSError | OverflowError)


def _endpoint(reactor: Any, text: str) -> IStreamServerEndpoint:
    try:
        if text.isdecimal():
            check_port(f"tcp:{text}")
            return BothFamiliesEndpoint(reactor, int(text))
        check_port(text)
    except ValueError as error:
        raise SystemExit(f"cannot listen on {text}: {error}") from None
    try:
        return serverEndpoint(reactor, text)
    except Exception as error:
        why = expectation(error, "a port number or an endpoint description")
        raise SystemExit(f"cannot listen on {text}: {why}") from None


def beginLogging(
    stream: TextIO, observer: Callable[[TextIO], FileLogObserver] = textFileLogObserver
) -> None:
    """
    Write the log to a stream, unless the program has set up another log.

    :param observer: makes the observer of the stream.
    """
    # Twisted has no public name for whether logging has begun; beginning twice logs a warning.
    if getattr(globalLogBeginner, "_temporaryObserver", None) is not None:
        observers = [observer(stream)]
        globalLogBeginner.beginLoggingTo(observers, redirectStandardIO=False)


def urlOf(port: IListeningPort, text: str, scheme: str) -> str:
    """
    Return the URL of a listening port.

    :param port: the port.
    :param text: the description of the port.
    :param scheme: ``http`` or ``ws``; an ``s`` is appended if the port uses TLS.
    :return: the URL; empty for a port without a host and a port number, such as a UNIX socket.
    """
    address: Any = port.getHost()
    if not isinstance(address, IPv4Address | IPv6Address):
        return ""
    host = f"[{address.host}]" if ":" in address.host else address.host
    secure = "s" if text.partition(":")[0] in TLS_SCHEMES else ""
    return f"{scheme}{secure}://{_ANYWHERE.get(address.host, host)}:{address.port}/"


def raiseFileLimit(system: Any = resource) -> None:
    """
    Raise the soft limit of open files to the hard limit, since each connection is an open file.

    A system may refuse its own hard limit: on macOS the hard limit is infinite, and large numbers
    are refused. The soft limit is unchanged then.

    :param system: the module that reads and sets the limits, ``resource``.
    """
    _, hard = system.getrlimit(system.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        system.setrlimit(system.RLIMIT_NOFILE, (hard, hard))


_LOCKED: Final = {"Cannot acquire lock": "another process listens on this socket"}
"""Text for Twisted's error about a UNIX socket with a lock file that names a running process."""


def whyNot(failure: Failure) -> str:
    """Return why a port cannot be opened, in the operating system's words if there are any."""
    error = failure.value
    cause = getattr(error, "socketError", None) or error
    words = getattr(cause, "strerror", None) or str(cause) or type(error).__name__
    return _LOCKED.get(words, words)
