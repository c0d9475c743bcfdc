"""What ``buildProtocol`` may answer, and what is wrong with anything else."""

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
    """What the application answered to an offer cannot be carried out."""


def checkApplication(answer: object) -> None:
    """
    Look at an application before it is told anything.

    :raises Unusable: for an object that is none, and for one with a coroutine
        function in the place of a method, which nobody would await.
    """
    fault = _faultOf(answer, "buildProtocol answered ")
    if fault is not None:
        raise Unusable(fault)


def checkArgument(option: str, application: object) -> None:
    """
    Look at an application that a program passes.

    :raises TypeError: as :func:`checkApplication` raises.
    """
    fault = _faultOf(application, "")
    if fault is not None:
        raise TypeError(f"{option}: {fault}")


def _faultOf(application: object, said: str) -> str | None:
    kind: Any = type(application)
    if isinstance(application, type) or not hasattr(application, "negotiationStarted"):
        return said + _described(application)
    # An object may have a method that its class lacks.
    missing = [name for name in _missingOf(kind) if not hasattr(application, name)]
    if missing:
        return f"{said}{kind.__name__}, which lacks {missing[0]}; {_add(missing)}"
    return _faultOfKind(kind)


def checkBuilder(option: str, builder: object, hint: str, asked: str = "offer") -> None:
    """
    Look at an object that is to have ``buildProtocol``.

    :param hint: what to write instead of the usual mistake.
    :param asked: the argument of ``buildProtocol``.
    :raises TypeError: for an object without it, and for a class that was not called.
    """
    build = getattr(builder, "buildProtocol", None)
    if isinstance(builder, type) and type(vars(builder).get("buildProtocol")) is FunctionType:
        name = builder.__name__
        raise TypeError(f"{option}: expected an object, not the class {name}; write {name}()")
    if build is None:
        isNamed = isinstance(builder, type | FunctionType)
        name = builder.__name__ if isNamed else type(builder).__name__  # type: ignore[attr-defined]
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
        return "a function, not an application; a coroutine function goes into serve()"
    if IProtocol.providedBy(answer):
        return f"{kind}, a protocol of bytes; its factory goes into StreamApplications()"
    for name, ours in _AUTOBAHN.items():
        if hasattr(answer, name):
            return f"{kind}, not an application: {name} is a method of Autobahn's; write {ours}"
    return (
        f"{kind}, not an application: it has no negotiationStarted; "
        "write serve(...) with a coroutine function of a channel, or the methods of "
        "txhixie.WebSocketProtocol"
    )


def _add(missing: Iterable[str]) -> str:
    return "add " + ", ".join(
        f"def {name}(self{', ' if _REQUIRED[name] else ''}{_REQUIRED[name]})" for name in missing
    )


@lru_cache(maxsize=64)
def _missingOf(kind: type) -> tuple[str, ...]:
    """Name the required methods that a class lacks; looked up once for a class."""
    return tuple(name for name in _REQUIRED if not hasattr(kind, name))


@lru_cache(maxsize=64)
def _faultOfKind(kind: type) -> str | None:
    """Once for a class, not for each connection."""
    if _isNeverCalled(kind):
        return (
            f"{kind.__name__}.onMessage is a method of Autobahn's, which is not called here; "
            f"write {_AUTOBAHN['onMessage']}"
        )
    for name in _METHODS:
        method: Callable[..., object] | None = getattr(kind, name, None)
        if iscoroutinefunction(method):
            return (
                f"{kind.__name__}.{name} is a coroutine function, which nobody awaits; "
                "write def, or give serve() a coroutine function of a channel"
            )
    return None


def _isNeverCalled(kind: type) -> bool:
    """Tell whether a class has Autobahn's ``onMessage``, and inherits ``textMessageReceived``."""
    inherited = getattr(kind, "textMessageReceived", None) is WebSocketProtocol.textMessageReceived
    return inherited and hasattr(kind, "onMessage")
