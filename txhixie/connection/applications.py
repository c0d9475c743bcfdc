"""Checks of applications that a program passes, or that ``buildProtocol(offer)`` returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from inspect import isawaitable, iscoroutinefunction, isfunction
from types import FunctionType
from typing import Any, Final

from twisted.internet.interfaces import IProtocol

from ..interfaces import WebSocketProtocol
from ..sansio.errors import UsageError

_REQUIRED: Final = {
    "negotiationStarted": "transport",
    "negotiationFinished": "",
    "textMessageReceived": "message",
    "bytesMessageReceived": "data",
    "pongReceived": "payload",
    "connectionLost": "reason",
}
"""Methods of an application, with their arguments."""

_METHODS: Final = (*_REQUIRED, "pingReceived", "closeStarted")

_AUTOBAHN: Final = {
    "onMessage": "textMessageReceived(message) and bytesMessageReceived(data)",
    "onOpen": "negotiationFinished()",
    "onConnect": "buildProtocol(offer)",
    "onClose": "connectionLost(reason)",
}
"""Methods of an Autobahn protocol, with the methods that are called here."""


class Unusable(UsageError):
    """The result of ``buildProtocol(offer)`` is not an application, a refusal or a Deferred."""


def checkApplication(answer: object) -> None:
    """
    Check the application that ``buildProtocol`` returned, before its first method is called.

    :raises Unusable: for an object that is not an application, and for an application with a
        coroutine function among its methods: the coroutines would never be awaited.
    """
    kind: Any = type(answer)
    if _isComplete(kind):
        return
    fault = _faultOf(answer, "buildProtocol returned ")
    if fault is not None:
        raise Unusable(fault)


def checkArgument(option: str, application: object) -> None:
    """
    Check an application that a program passes as an argument.

    :param option: name of the argument, for the error.
    :raises TypeError: for the objects for which :func:`checkApplication` raises.
    """
    fault = _faultOf(application, "")
    if fault is not None:
        raise TypeError(f"{option}: {fault}")


def _faultOf(application: object, prefix: str) -> str | None:
    kind: Any = type(application)
    if isinstance(application, type) or not hasattr(application, "negotiationStarted"):
        return prefix + _described(application)
    # An object may have a method that its class lacks.
    missing = [name for name in _missingOf(kind) if not hasattr(application, name)]
    if missing:
        return f"{prefix}{kind.__name__}, which lacks {missing[0]}; {_add(missing)}"
    return _faultOfKind(kind)


def checkBuilder(option: str, builder: object, hint: str, asked: str = "offer") -> None:
    """
    Check that an argument has the method ``buildProtocol``.

    :param option: name of the argument, for the error.
    :param builder: the argument.
    :param hint: end of the error: what to write instead of the usual mistake.
    :param asked: name of the argument of ``buildProtocol``.
    :raises TypeError: for an object without ``buildProtocol``, and for a class instead of an
        instance.
    """
    build = getattr(builder, "buildProtocol", None)
    if isinstance(builder, type) and type(vars(builder).get("buildProtocol")) is FunctionType:
        name = builder.__name__
        raise TypeError(f"{option}: expected an object, not the class {name}; write {name}()")
    if build is None:
        isNamed = isinstance(builder, type | FunctionType)
        name = builder.__name__ if isNamed else type(builder).__name__  # type: ignore[attr-defined]  # isNamed says that the object has a name
        if iscoroutinefunction(builder):
            hint = f"write serve({name})"
        elif hasattr(builder, "negotiationStarted"):
            made = f"{name}()"
            name = f"the application {name}"
            hint = f"write a class with def buildProtocol(self, {asked}): return {made}"
        raise TypeError(f"{option}: expected an object with buildProtocol, not {name}; {hint}")


def _described(answer: object) -> str:
    if isinstance(answer, type):
        return f"the class {answer.__name__}, not an application; write {answer.__name__}()"
    kind = type(answer).__name__
    if isawaitable(answer):
        return f"{kind}, which is neither a coroutine nor a Deferred; write Deferred.fromFuture()"
    if isfunction(answer):
        return "a function, not an application; pass a coroutine function to serve()"
    if IProtocol.providedBy(answer):
        return f"{kind}, a protocol of bytes; pass its factory to StreamApplications()"
    for name, ours in _AUTOBAHN.items():
        if hasattr(answer, name):
            return f"{kind}, not an application: {name} is a method of Autobahn's; write {ours}"
    return (
        f"{kind}, not an application: no method negotiationStarted; "
        "pass a coroutine function to serve(), or write the methods of "
        "txhixie.WebSocketProtocol"
    )


def _add(missing: Iterable[str]) -> str:
    return "add " + ", ".join(
        f"def {name}(self{', ' if _REQUIRED[name] else ''}{_REQUIRED[name]})" for name in missing
    )


@lru_cache(maxsize=64)
def _isComplete(kind: type) -> bool:
    """Whether a class of applications has all methods and no fault; checked once for each class."""
    return not _missingOf(kind) and _faultOfKind(kind) is None


@lru_cache(maxsize=64)
def _missingOf(kind: type) -> tuple[str, ...]:
    """Return the required methods that a class lacks; checked once for each class."""
    return tuple(name for name in _REQUIRED if not hasattr(kind, name))


@lru_cache(maxsize=64)
def _faultOfKind(kind: type) -> str | None:
    """Return what is wrong with a class of applications; checked once for each class."""
    if _isNeverCalled(kind):
        return (
            f"{kind.__name__}.onMessage is a method of Autobahn's, which is not called here; "
            f"write {_AUTOBAHN['onMessage']}"
        )
    for name in _METHODS:
        method: Callable[..., object] | None = getattr(kind, name, None)
        if iscoroutinefunction(method):
            return (
                f"{kind.__name__}.{name} is a coroutine function, which is never awaited; "
                "write def instead of async def, or pass a coroutine function to serve()"
            )
    return None


def _isNeverCalled(kind: type) -> bool:
    """Tell whether a class has Autobahn's ``onMessage``, and inherits ``textMessageReceived``."""
    inherited = getattr(kind, "textMessageReceived", None) is WebSocketProtocol.textMessageReceived
    return inherited and hasattr(kind, "onMessage")
