"""What ``buildProtocol`` may answer, and what is wrong with anything else."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from inspect import isawaitable, iscoroutinefunction, isfunction
from types import FunctionType
from typing import Any, Final, cast

from twisted.internet.interfaces import IProtocol

from ..sansio.errors import UsageError

_METHODS: Final = (
    "negotiationStarted",
    "negotiationFinished",
    "textMessageReceived",
    "bytesMessageReceived",
    "pongReceived",
    "pingReceived",
    "connectionLost",
)


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
    if isinstance(application, type) or not hasattr(application, "negotiationStarted"):
        return said + _described(application)
    return _faultOfKind(cast(Any, type(application)))


def checkBuilder(option: str, builder: object, hint: str) -> None:
    """
    Look at an object that is to have ``buildProtocol``.

    :param hint: what to write instead of the usual mistake.
    :raises TypeError: for an object without it, and for a class that was not called.
    """
    build = getattr(builder, "buildProtocol", None)
    if isinstance(builder, type) and type(vars(builder).get("buildProtocol")) is FunctionType:
        name = builder.__name__
        raise TypeError(f"{option}: expected an object, not the class {name}; write {name}()")
    if build is None:
        name = builder.__name__ if isinstance(builder, type | FunctionType) else repr(type(builder))
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
    return f"{kind}, not an application: it has no negotiationStarted"


@lru_cache(maxsize=64)
def _faultOfKind(kind: type) -> str | None:
    """Once for a class, not for each connection."""
    for name in _METHODS:
        method: Callable[..., object] | None = getattr(kind, name, None)
        if iscoroutinefunction(method):
            return (
                f"{kind.__name__}.{name} is a coroutine function, which nobody awaits; "
                "write def, or give serve() a coroutine function of a channel"
            )
    return None
