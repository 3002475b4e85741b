"""Pools of processes: which of them does which piece of work is chance, so a piece is told by its number."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from multiprocessing import process
from typing import Any, Final

from timetracer_otel.seams import branches
from timetracer_otel.seams.branches import Within
from timetracer_otel.seams.integration import Patch

__all__ = ["PATCHES"]

_HELPER: Final = "_helper_reraises_exception"
"""A function that the pool knows by its identity."""
_MOST_WORK: Final = 1 << 32
_executors = count()


class _Numbered:
    """A piece of work that knows its number.

    Args:
        name: the number.
        function: that does it.
    """

    __slots__ = ("_function", "_name")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        branch = branches.piece(self._name)
        if branch is None:
            return self._function(*args, **kwargs)
        try:
            with Within(branch):
                return self._function(*args, **kwargs)
        finally:
            if (flush := getattr(branch.lane, "flush_draws", None)) is not None:
                flush()  # a pool may end its workers as soon as it has their last result


class _Queue:
    """A queue of work as a worker reads it.

    Args:
        queue: the pool's.
        numbered: gives what was read with its number known.
    """

    def __init__(self, queue: Any, numbered: Callable[[Any], Any]) -> None:
        self._queue = queue
        self._numbered = numbered

    def get(self, *args: Any, **kwargs: Any) -> Any:
        task = self._queue.get(*args, **kwargs)
        return None if task is None else self._numbered(task)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


def _of_pool(task: tuple[Any, ...]) -> tuple[Any, ...]:
    job, number, function, *rest = task
    if getattr(function, "__name__", "") == _HELPER:
        return task
    return (job, number, _Numbered(f"{job}-{number}", function), *rest)


def _of_executor(item: Any) -> Any:
    item.fn = _Numbered(f"executor-{item.work_id}", item.fn)
    return item


def _work(numbered: Callable[[Any], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Go around what a worker of a pool runs. That of a pool of threads is the same function, and left alone."""

    def maker(original: Callable[..., Any]) -> Callable[..., Any]:
        def worker(queue: Any, *args: Any, **kwargs: Any) -> Any:
            is_process = process.parent_process() is not None
            if is_process and threading.current_thread() is threading.main_thread():
                queue = _Queue(queue, numbered)
            return original(queue, *args, **kwargs)

        return worker

    return maker


def _count_work(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``ProcessPoolExecutor.__init__``: each counts its work from zero, so the second goes on elsewhere."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it stands in for one
        original(self, *args, **kwargs)
        if getattr(self, "_queue_count", None) == 0:
            self._queue_count = next(_executors) * _MOST_WORK

    return __init__


PATCHES: Final = (
    Patch("multiprocessing.pool", "worker", maker=_work(_of_pool)),
    Patch("concurrent.futures.process", "_process_worker", maker=_work(_of_executor), required=False),
    Patch("concurrent.futures.process", "ProcessPoolExecutor.__init__", maker=_count_work),
)
