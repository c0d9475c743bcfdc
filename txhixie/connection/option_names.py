"""Names of options that a program passes: an unknown name is an error that suggests a known one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import wraps
from typing import ParamSpec, TypeVar

from ..display import nearest
from ..sansio.limits import Limits

Arguments = ParamSpec("Arguments")
T = TypeVar("T")


def check_names(options: Iterable[str], names: Collection[str]) -> None:
    """
    Check the names of options.

    :param options: the names that a program passes.
    :param names: all known names.
    :raises TypeError: for an unknown name, with what to write instead.
    """
    for option in options:
        if option not in names:
            raise TypeError(f"{option}: no such option{_suggestion(option, names)}")


def _suggestion(option: str, names: Collection[str]) -> str:
    """Return a suggestion for the unknown name of an option, as the end of an error's sentence."""
    if option in Limits.__annotations__:
        return f"; write limits=Limits({option}=...)"
    if "timeout" in option.lower():
        stage = "timeout=seconds for each stage, or " if "timeout" in names else ""
        return f"; write {stage}limits=Limits(...) with one of its times"
    return nearest(option.replace("_", ""), names)


def with_names(call: Callable[Arguments, T]) -> Callable[Arguments, T]:
    """
    Make a function or a constructor check the names of its keyword arguments.

    Python 3.13 suggests names itself, but does not know the words of our other classes.
    """
    code = call.__code__
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    known = frozenset(names)

    @wraps(call)
    def checked(*arguments: Arguments.args, **options: Arguments.kwargs) -> T:
        if not options.keys() <= known:
            check_names(options, names)
        return call(*arguments, **options)

    return checked
