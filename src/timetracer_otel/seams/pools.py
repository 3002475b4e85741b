"""Pools and greenlets that know nothing of contexts: the work that they are handed brings its lane along."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextvars import Context
from functools import partial
from types import ModuleType
from typing import Any, Final

from timetracer_otel.seams import branches, imports
from timetracer_otel.seams.branches import Branch, Within
from timetracer_otel.seams.integration import Patch

__all__ = ["PATCHES", "Carried", "watch_greenlets"]


class Carried:
    """A function that runs in a branch wherever it is called.

    Args:
        branch: of the work.
        function: that does it.
    """

    __slots__ = ("branch", "function")

    def __init__(self, branch: Branch, function: Callable[..., Any]) -> None:
        self.branch = branch
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do the work."""
        with Within(self.branch):
            return self.function(*args, **kwargs)


def _carried(branch: Branch, callback: Callable[..., Any] | None) -> Callable[..., Any] | None:
    return None if callback is None else Carried(branch, callback)


def _apply_async(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``ThreadPool.apply_async``; what is called back belongs to the work."""

    def apply_async(  # noqa: PLR0913, PLR0917 - the pool's own signature
        self: Any,
        func: Any,
        args: Any = (),
        kwds: Any = None,
        callback: Any = None,
        error_callback: Any = None,
    ) -> Any:
        kwds = {} if kwds is None else kwds  # the pool's default
        branch = branches.started(func, args if isinstance(args, tuple) else ())
        if branch is None:
            return original(self, func, args, kwds, callback, error_callback)
        called_back = _carried(branch, callback), _carried(branch, error_callback)
        return original(self, Carried(branch, func), args, kwds, *called_back)

    return apply_async


def _map_async(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around what ``map``, ``starmap`` and their asynchronous forms stand on: each item is a piece of work."""

    def _map_async_(  # noqa: PLR0913, PLR0917 - the pool's own signature
        self: Any, func: Any, iterable: Any, mapper: Any, chunksize: Any = None, callback: Any = None,
        error_callback: Any = None,
    ) -> Any:  # fmt: skip
        branch = branches.started(func)
        if branch is None:
            return original(self, func, iterable, mapper, chunksize, callback, error_callback)
        self._check_running()  # before the items are used up, as without us
        once = _with_parts if mapper.__name__ == "starmapstar" else _with_item
        pieces = [Carried(branch.child(once), partial(once, func, item)) for item in iterable]
        called_back = _carried(branch, callback), _carried(branch, error_callback)
        return original(self, _do, pieces, _do_all, chunksize, *called_back)

    return _map_async_


def _imap(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``imap`` and ``imap_unordered``, whose items a thread of the pool asks for one by one."""

    def imap(self: Any, func: Any, iterable: Any, chunksize: Any = 1) -> Any:
        branch = branches.started(func)
        if branch is None:
            return original(self, func, iterable, chunksize)
        return original(self, _do, _pieces(branch, func, iterable), chunksize)

    return imap


def _pieces(branch: Branch, func: Callable[..., Any], iterable: Iterable[Any]) -> Iterator[Carried]:
    with Within(branch):
        items = iter(iterable)
    while True:
        try:
            with Within(branch):
                item = next(items)
        except StopIteration:
            return
        yield Carried(branch.child(_with_item), partial(_with_item, func, item))


def _with_item(func: Callable[..., Any], item: Any) -> Any:
    return func(item)


def _with_parts(func: Callable[..., Any], item: Any) -> Any:
    return func(*item)


def _do(piece: Carried) -> Any:
    return piece()


def _do_all(batch: tuple[Any, Iterable[Carried]]) -> list[Any]:
    """Do the pieces of a batch: the pool calls this in place of the app's function."""
    return [piece() for piece in batch[1]]


# aiosqlite: a thread for each connection, which an object mapper's pool hands from request to request


def _execute(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``aiosqlite.Connection._execute``, which every operation but the first passes."""

    def execute(self: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
        branch = branches.started(fn, args)
        return original(self, fn if branch is None else Carried(branch, fn), *args, **kwargs)

    return execute


def _connect(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``aiosqlite.Connection._connect``, which hands over the function that opens the database."""

    def connect(self: Any) -> Any:
        connector = self._connector
        if not isinstance(connector, Carried) and (branch := branches.started(connector)) is not None:
            self._connector = Carried(branch, connector)
        return original(self)

    return connect


# gevent


def _spawn_in_thread(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``gevent.threadpool.ThreadPool.spawn``."""

    def spawn(self: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        branch = branches.started(func, args) if callable(func) else None
        return original(self, func if branch is None else Carried(branch, func), *args, **kwargs)

    return spawn


def _spawn_raw(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``gevent.spawn_raw``."""

    def spawn_raw(function: Any, *args: Any, **kwargs: Any) -> Any:
        branch = branches.started(function, args, is_task=False) if callable(function) else None
        return original(function if branch is None else Carried(branch, function), *args, **kwargs)

    return spawn_raw


def _on_greenlet(greenlet: Any) -> None:
    """Give a greenlet that is about to start a context: its class is of C, and it copies none."""
    function = greenlet._run  # noqa: SLF001 - what it will run, shown nowhere else
    branch = branches.started(function, tuple(greenlet.args), is_task=False)
    if branch is None:
        return
    context = greenlet.gr_context
    if context is None:
        greenlet.gr_context = context = Context()
    context.run(Within(branch).__enter__)


_watched: list[bool] = []
"""Whether greenlets are to be watched; empty until gevent was asked for."""


def watch_greenlets(*, on: bool) -> None:
    """Give the greenlets of gevent their lanes, once it is imported, or no longer.

    Args:
        on: whether to.
    """
    first = not _watched
    _watched[:] = [on]
    if first:
        imports.after_import("gevent.greenlet", _watch)
    elif (module := sys.modules.get("gevent.greenlet")) is not None:
        _watch(module)


def _watch(module: ModuleType) -> None:
    if _watched[0]:
        module.Greenlet.add_spawn_callback(_on_greenlet)
    else:
        module.Greenlet.remove_spawn_callback(_on_greenlet)


PATCHES: Final = (
    Patch("multiprocessing.pool", "ThreadPool.apply_async", maker=_apply_async),
    Patch("multiprocessing.pool", "ThreadPool._map_async", maker=_map_async),
    Patch("multiprocessing.pool", "ThreadPool.imap", maker=_imap),
    Patch("multiprocessing.pool", "ThreadPool.imap_unordered", maker=_imap),
    Patch("aiosqlite.core", "Connection._execute", maker=_execute),
    Patch("aiosqlite.core", "Connection._connect", maker=_connect),
    Patch("gevent.threadpool", "ThreadPool.spawn", maker=_spawn_in_thread, required=False),
    Patch("gevent.hub", "spawn_raw", maker=_spawn_raw, required=False),
    Patch("gevent", "spawn_raw", maker=_spawn_raw, required=False),
)
