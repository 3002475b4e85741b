"""Which of a lane's threads and tasks the current code runs in, in a name that the next run gives it too.

A branch is named by its place among the threads, tasks and pieces of work that run the same function, counted where
they are started: ``0.2`` is the third one started by the first one started by the lane itself, whose own name is empty.
Neither names nor the order in which they happen to run count.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, ContextVar, Token
from functools import partial
from typing import Any

from timetracer_otel.seams import runtime
from timetracer_otel.seams.lanes import PIECE, Branch, Entered, Lane, Piece, entered_lane, lane_of

__all__ = [
    "Branch",
    "Within",
    "beginning",
    "branch_in",
    "current_lane",
    "go_on_in",
    "here",
    "is_piece",
    "path_of",
    "piece",
    "settle",
    "started",
    "trail",
]


_here: ContextVar[Branch | None] = ContextVar("timetracer_branch", default=None)
here = _here.get
"""The branch entered last in this context; :func:`branch_in` says what that means for a lane."""


class Within:
    """Lets a ``with`` block run in a branch and its lane, whatever else its thread remembers.

    Args:
        branch: of the work that the block does.
    """

    __slots__ = ("_branch", "_entered", "_token")

    def __init__(self, branch: Branch) -> None:
        self._branch = branch
        self._entered = Entered(branch.lane)

    def __enter__(self) -> None:
        self._branch.lane.begin_late_work()
        self._entered.__enter__()
        self._token: Token[Branch | None] = _here.set(self._branch)

    def __exit__(self, *_: object) -> None:
        _here.reset(self._token)
        self._entered.__exit__()


def go_on_in(branch: Branch) -> None:
    """Let the code of this context be of a branch and its lane from here on, until it goes on in another.

    Args:
        branch: of the work that a thread or a task goes on with.
    """
    Within(branch).__enter__()


class beginning:  # noqa: N801 - used as a function
    """Lets what copies the context in a ``with`` block, as a task that is created there, be of a branch.

    Args:
        branch: of the task.
    """

    __slots__ = ("_branch", "_token")

    def __init__(self, branch: Branch) -> None:
        self._branch = branch

    def __enter__(self) -> None:
        self._token = _here.set(self._branch)

    def __exit__(self, *_: object) -> None:
        _here.reset(self._token)


def current_lane() -> Lane | None:
    """The lane that the current code belongs to; None when nothing is installed."""
    lane = entered_lane()
    if lane is not None and lane.holds():
        return lane
    lane = lane_of()
    if lane is not None:
        return lane
    active = runtime.active()
    return None if active is None else active.session()


def branch_in(lane: Lane, branch: Branch | None) -> str:
    """Name a lane's branch.

    Args:
        lane: that the code belongs to.
        branch: from :func:`here`; one of another lane means that the code is the lane's own.
    """
    return "" if branch is None or branch.lane is not lane else branch.path


def trail(lane: Lane) -> str:
    """The branches of a lane that led to the current code, see :data:`spans.BRANCH`; empty in its own flow.

    Args:
        lane: that the code belongs to.
    """
    branch = here()
    return "" if branch is None or branch.lane is not lane else branch.trail


def path_of(trail: str) -> str:
    """The name of a recorded branch, as :func:`branch_in` gives it.

    Args:
        trail: see :data:`spans.BRANCH`.
    """
    return ".".join(step.partition("@")[0] for step in trail.split())


def started(function: Any, args: tuple[Any, ...] = (), *, is_task: bool | None = None) -> Branch | None:
    """Give a branch to what the current code is about to start; None when nothing is installed.

    Args:
        function: that will run, or a coroutine.
        args: that it will be given.
        is_task: as :class:`Branch` has it.
    """
    lane = current_lane()
    if lane is None:
        return None
    function, context = _looked_into(function, args)
    branch = here()
    if branch is None or branch.lane is not lane:
        branch = lane.root = lane.root or Branch(lane)
    branch = branch.child(_code_of(function))
    branch.is_task = is_task
    if context is not None:
        settle(context, branch)
    return branch


def piece(name: str) -> Branch | None:
    """Give a branch to work that another process has handed to this one; None when nothing is installed.

    Args:
        name: that it has wherever it is done.
    """
    lane = current_lane()
    if lane is None:
        return None
    lane.root = lane.root or Branch(lane)
    return Piece(lane.root, name)


def is_piece(branch: str) -> bool:
    """Whether a branch is a piece of work, which another process may do in the next run.

    Args:
        branch: its name.
    """
    return branch.startswith(PIECE)


def settle(context: Context, branch: Branch) -> None:
    """Let a copy of the current context be of the branch that will run in it; a context of another origin stays."""
    if context.get(_here) is here():
        with suppress(RuntimeError):  # it is in use
            context.run(_here.set, branch)


def _looked_into(function: Any, args: tuple[Any, ...]) -> tuple[Any, Context | None]:
    """The function behind partials and ``Context.run``, and the context that it brings along."""
    context = None
    while True:
        owner = getattr(function, "__self__", None)
        if isinstance(function, partial):
            function, args = function.func, (*function.args, *args)
        elif isinstance(owner, Context) and args:
            function, args, context = args[0], args[1:], owner
        elif getattr(function, "__module__", None) == "opentelemetry.instrumentation.threading":
            function = _behind_instrumentor(function)
            if function is None:
                return None, context
        else:
            return function, context


def _behind_instrumentor(function: Any) -> Callable[..., Any] | None:
    """Unwrap what OpenTelemetry's instrumentor has wrapped: all its wrappers share one code object."""
    names, cells = function.__code__.co_freevars, function.__closure__
    return cells[names.index("original_func")].cell_contents if "original_func" in names else None


def _code_of(function: Any) -> object:
    """Give what tells functions apart, whatever their names are."""
    function = getattr(function, "__func__", function)
    code = getattr(function, "cr_code", None) or getattr(function, "__code__", None)
    return id(code) if code is not None else type(function)
