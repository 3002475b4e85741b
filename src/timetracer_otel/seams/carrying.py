"""Threads, tasks, greenlets and work for pools belong to the lane that starts them.

By means of our own, because OpenTelemetry's instrumentor for threads can be absent or switched off, knows neither
subclasses that override ``run`` nor other pools, and carries a context that may have lost the lane. A thread that only
runs what it is handed keeps no lane of its own; what it takes from a queue: :mod:`queues`.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from threading import Thread
from typing import Any, Final

from timetracer_otel.seams import branches, patching
from timetracer_otel.seams.branches import Within
from timetracer_otel.seams.integration import Integration, Patch
from timetracer_otel.seams.lanes import waiters
from timetracer_otel.seams.pools import PATCHES as POOLS
from timetracer_otel.seams.pools import Carried, watch_greenlets
from timetracer_otel.seams.process_pools import PATCHES as PROCESS_POOLS
from timetracer_otel.seams.queues import PATCHES as QUEUES

__all__ = ["install", "uninstall"]

_BRANCH: Final = "_timetracer_branch"
_ABSENT: Final = object()
_WAIT_FOR: Final = asyncio.wait_for.__code__ if sys.version_info < (3, 12) else None
_waiting: Final[ContextVar[list[Callable[[], None]] | None]] = ContextVar("timetracer_waiting", default=None)
_UP_TO_WAIT_FOR: Final = 4
"""Frames: behind whoever asks come ``create_task``, and two of ``ensure_future``."""
_WORKERS: Final = (
    "aiosqlite.",
    "anyio.",
    "concurrent.futures.",
    "logging.handlers",
    "multiprocessing.pool",
    "socketserver",
)
"""Modules whose threads are nobody's: whoever hands them work says whose it is."""


def install() -> None:
    """Let lanes reach what they start from now on."""
    patching.apply(_STARTS)
    watch_greenlets(on=True)


def uninstall() -> None:
    """Put everything back."""
    watch_greenlets(on=False)
    patching.undo(_STARTS.name)


def _start_thread(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``Thread.start``. The instance's ``run`` is exchanged, since subclasses have their own."""

    def start(self: Thread) -> Any:
        can_start = vars(self).get("_initialized") and self.ident is None
        target = getattr(self, "_target", None)
        if not can_start or _is_worker(self, target):
            return original(self)
        branch = branches.started(target or type(self).run, getattr(self, "_args", ()), is_task=False)
        if branch is None:
            return original(self)
        own, run = vars(self).get("run", _ABSENT), self.run

        def put_back() -> None:
            vars(self).pop("run", None)
            if own is not _ABSENT:
                vars(self)["run"] = own

        def run_in_branch() -> Any:
            put_back()
            with Within(branch):
                return run()

        vars(self)["run"] = run_in_branch
        try:
            return original(self)
        except BaseException:
            put_back()
            raise

    return start


def _is_worker(thread: Thread, target: Any) -> bool:
    module = getattr(target, "__module__", None) or type(thread).__module__
    return str(module).startswith(_WORKERS)


def _make_work(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``__init__`` of what ``ThreadPoolExecutor.submit`` queues: there the app's function is untouched."""

    def __init__(self: Any, future: Any, fn: Any, *rest: Any, **named: Any) -> None:  # noqa: N807 - it stands in for one
        original(self, future, fn, *rest, **named)
        function, args = (fn[0], fn[1]) if isinstance(fn, tuple) else (fn, rest[0] if rest else ())  # 3.14, before
        vars(self)[_BRANCH] = branches.started(function, tuple(args))

    return __init__


def _run_work(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around its ``run``, which also calls what waits for the future."""

    def run(self: Any, *args: Any) -> Any:
        branch = vars(self).pop(_BRANCH, None)
        if branch is None:
            return original(self, *args)
        with Within(branch):
            return original(self, *args)

    return run


def _start_raw_thread(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``_thread.start_new_thread``."""

    def start_new_thread(function: Any, args: Any, *kwargs: Any) -> Any:
        can_run = callable(function) and isinstance(args, tuple)
        branch = branches.started(function, args, is_task=False) if can_run else None
        return original(function if branch is None else Carried(branch, function), args, *kwargs)

    return start_new_thread


def _start_task(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``create_task`` of a loop. The task copies a context that says which branch it is."""

    def create_task(self: Any, coro: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_waited_for():
            task = original(self, coro, *args, **kwargs)
            if (steps := _waiting.get()) is not None:
                waiters[task] = steps
            return task
        branch = branches.started(coro, is_task=True)
        if branch is None:
            return original(self, coro, *args, **kwargs)
        if (context := kwargs.get("context")) is not None:
            branches.settle(context, branch)
            return original(self, coro, *args, **kwargs)
        with branches.beginning(branch):
            return original(self, coro, *args, **kwargs)

    return create_task


def _is_waited_for() -> bool:
    """Whether ``wait_for`` makes a task: until Python 3.12 it runs in one what its caller does in order."""
    if _WAIT_FOR is None:
        return False
    try:
        frame = sys._getframe(_UP_TO_WAIT_FOR)  # noqa: SLF001 - the cheap way
    except ValueError:
        return False
    return frame.f_code is _WAIT_FOR


def _wait_for(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``asyncio.wait_for``: a consumer's next message that its task takes is for who waits."""
    if _WAIT_FOR is None:
        return original

    @functools.wraps(original)
    async def wait_for(*args: Any, **kwargs: Any) -> Any:
        steps: list[Callable[[], None]] = []
        token = _waiting.set(steps)
        try:
            return await original(*args, **kwargs)
        finally:
            with suppress(ValueError):  # abandoned, and closed from another context
                _waiting.reset(token)
            for step in steps:
                step()

    return wait_for


def _start_in_order(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``asyncio.as_completed``, which starts coroutines in the order of a set: that of their addresses."""

    def as_completed(fs: Any, *args: Any, **kwargs: Any) -> Any:
        is_one = asyncio.isfuture(fs) or asyncio.iscoroutine(fs)  # an error, which the original raises
        return original(fs if is_one else _InOrder(fs), *args, **kwargs)

    return as_completed


class _InOrder:
    """Awaitables as tasks that are started in the given order, when they are asked for.

    Args:
        given: the awaitables.
    """

    __slots__ = ("_given",)

    def __init__(self, given: Any) -> None:
        self._given = given

    def __iter__(self) -> Iterator[Any]:
        return iter([asyncio.ensure_future(one) for one in dict.fromkeys(self._given)])


_STARTS: Final = Integration(
    name="what the app starts",
    patches=(
        Patch("threading", "Thread.start", maker=_start_thread),
        Patch("_thread", "start_new_thread", maker=_start_raw_thread),
        Patch("concurrent.futures.thread", "_WorkItem.__init__", maker=_make_work),
        Patch("concurrent.futures.thread", "_WorkItem.run", maker=_run_work),
        Patch("asyncio.base_events", "BaseEventLoop.create_task", maker=_start_task),
        Patch("uvloop", "Loop.create_task", maker=_start_task),
        # It creates tasks past the loop where an eager factory of Python's own is set.
        Patch("anyio._backends._asyncio", "TaskGroup._spawn", maker=_start_task, required=False),
        Patch("asyncio.tasks", "wait_for", maker=_wait_for, everywhere=True),
        Patch("asyncio.tasks", "as_completed", maker=_start_in_order, everywhere=True),
        *POOLS,
        *PROCESS_POOLS,
        *QUEUES,
    ),
)
