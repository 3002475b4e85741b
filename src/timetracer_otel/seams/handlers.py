"""Where a framework calls the app's own function that answers a request: a debugger stops at its first line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial, wraps
from inspect import iscoroutinefunction, unwrap
from types import CodeType
from typing import Any, Final, TypeAlias

__all__ = ["Around", "code_of", "watched", "watcher"]

Around: TypeAlias = Callable[[Callable[..., Any]], AbstractContextManager[None]]
"""Gives what goes around the call of a handler, in the thread that runs it."""


class _Watcher:
    """Who is told of handlers in this process."""

    around: Around = staticmethod(lambda _function: nullcontext())


watcher: Final = _Watcher()


def watched(function: Callable[..., Any], meant: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Give a function to call instead of a handler.

    Args:
        function: that is called, a plain function or one of a coroutine.
        meant: the handler; None when the function is it.
    """
    handler = function if meant is None else meant
    if iscoroutinefunction(_bare(function)):

        @wraps(function)
        async def awaiting(*args: Any, **kwargs: Any) -> Any:
            with watcher.around(handler):
                return await function(*args, **kwargs)

        return awaiting

    @wraps(function)
    def calling(*args: Any, **kwargs: Any) -> Any:
        with watcher.around(handler):
            return function(*args, **kwargs)

    return calling


def code_of(function: Any) -> CodeType | None:
    """The code that the app wrote, behind partials and decorators; None of what has none.

    Args:
        function: the handler.
    """
    function = unwrap(_bare(function))
    if not hasattr(function, "__code__") and not isinstance(function, type) and callable(function):
        function = unwrap(type(function).__call__)
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _bare(function: Any) -> Any:
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__func__", function)
