"""Which of a lane's concurrent tasks and threads the current code runs in, in a name that the next run gives it too.

A branch is named by its place among the tasks or threads that run the same function, counted where they are started:
``0.2`` is the third one started by the first one started by the lane itself, whose own name is empty. Neither names nor
the order in which they happen to run count.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import Any, TypeAlias

from timetracer_otel import seams
from timetracer_otel.seams import Lane
from timetracer_otel.seams.lanes import entered_lane, lane_of, process

__all__ = [
    "Place",
    "branch_in",
    "current_lane",
    "here",
    "run_thread",
    "start_task",
    "start_thread",
    "submit",
    "task_branch",
    "thread",
]

_OWN = "_timetracer_branch"


class _Branch:
    __slots__ = ("children", "lane", "path")

    def __init__(self, lane: Lane, path: str) -> None:
        self.lane = lane
        self.path = path
        self.children: dict[object, int] = {}

    def child(self, function: object) -> _Branch:
        number = self.children.get(function, 0)
        self.children[function] = number + 1
        return _Branch(self.lane, f"{self.path}.{number}" if self.path else str(number))


Place: TypeAlias = tuple[_Branch | None, _Branch | None]
"""The branches that the current task and the current thread are; which of them counts depends on the lane."""

_task: ContextVar[_Branch | None] = ContextVar("timetracer_branch", default=None)
task_branch = _task.get


class _Thread(threading.local):
    branch: _Branch | None = None


thread = _Thread()


def current_lane() -> Lane | None:
    """The lane that the current code belongs to; None when nothing is installed."""
    lane = entered_lane()
    if lane is not None and lane.pid == process.id:
        return lane
    lane = lane_of()
    if lane is not None:
        return lane
    runtime = seams.active()
    return None if runtime is None else runtime.session()


def here() -> Place:
    """Where the current code runs, as :func:`branch_in` takes it: cheap."""
    return task_branch(), thread.branch


def branch_in(lane: Lane, place: Place) -> str:
    """Name a lane's branch.

    Args:
        lane: that the code belongs to.
        place: from :func:`here`.
    """
    branch = _branch(lane, *place)
    return "" if branch is None else branch.path


def _branch(lane: Lane, task: _Branch | None, thread: _Branch | None) -> _Branch | None:
    """The innermost: a thread's context may be a copy of its starter's, and a task may run in a thread of its own."""
    if task is not None and task.lane is not lane:
        task = None
    if thread is None or thread.lane is not lane:
        return task
    return thread if task is None or len(thread.path) > len(task.path) else task


def _started(function: object) -> _Branch | None:
    """The branch of what is about to be started; None when nothing is installed."""
    lane = current_lane()
    if lane is None:
        return None
    branch = _branch(lane, *here())
    if branch is None:
        branch = vars(lane).setdefault(_OWN, _Branch(lane, ""))
    return branch.child(function)


def _code_of(function: Any) -> object:
    """What tells functions apart, whatever they are called."""
    while isinstance(function, partial):
        function = function.func if function.args == () else _wrapped_in(function)
    function = getattr(function, "__func__", function)
    code = getattr(function, "cr_code", None) or getattr(function, "__code__", None)
    return id(code) if code is not None else type(function)


def _wrapped_in(call: partial[Any]) -> Any:
    owner = getattr(call.func, "__self__", None)
    return call.args[0] if isinstance(owner, Context) else call.func


def start_task(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``BaseEventLoop.create_task``."""

    def create_task(self: Any, coro: Any, **kwargs: Any) -> Any:
        # A context of the app's own is not ours to change, and an old task factory takes none.
        if kwargs.get("context") is not None or getattr(self, "_task_factory", None) is not None:
            return original(self, coro, **kwargs)
        branch = _started(_code_of(coro))
        if branch is None:
            return original(self, coro, **kwargs)
        context = copy_context()
        context.run(_task.set, branch)
        kwargs["context"] = context
        return original(self, coro, **kwargs)

    return create_task


def submit(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``ThreadPoolExecutor.submit``."""

    def submit_(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        branch = _started(_code_of(fn))
        if branch is None:
            return original(self, fn, *args, **kwargs)
        return original(self, partial(_run, branch, fn), *args, **kwargs)

    return submit_


def start_thread(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``Thread.start``."""

    def start(self: Any) -> Any:
        branch = _started(_code_of(getattr(self, "_target", None)))
        if branch is not None:
            setattr(self, _OWN, branch)
        return original(self)

    return start


def run_thread(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``Thread.run``."""

    def run(self: Any) -> Any:
        branch = vars(self).pop(_OWN, None)
        return original(self) if branch is None else _run(branch, original, self)

    return run


def _run(branch: _Branch, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    before = thread.branch
    thread.branch = branch
    try:
        return function(*args, **kwargs)
    finally:
        thread.branch = before
