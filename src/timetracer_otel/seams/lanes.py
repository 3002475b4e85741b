"""Lanes while they run, and which one the current code belongs to.

The lane travels in three ways, strongest first: as a key of the OpenTelemetry context (where the app hands that on by
itself), on the span that is current (the instrumentors' ``extract`` starts from an empty context and drops our key),
and as a plain context variable, which :mod:`carrying` takes into threads, tasks and pools.
"""

from __future__ import annotations

import asyncio
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context as Variables
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from weakref import WeakKeyDictionary

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace.propagation import _SPAN_KEY  # what get_current_span looks up, in four calls

if TYPE_CHECKING:
    from timetracer_otel import spans
    from timetracer_otel.seams.calls import Call
    from timetracer_otel.seams.entries import Entry, Message

__all__ = [
    "NO_CONTEXT",
    "Bequest",
    "Branch",
    "Entered",
    "Lane",
    "current_context",
    "entered_lane",
    "entering",
    "lane_of",
    "mark",
    "outside",
    "process",
    "waiters",
]

LANE_KEY = otel_context.create_key("timetracer.lane")
_SPAN_ATTRIBUTE = "_timetracer_lane"
LATE_SECONDS = 60.0
"""How long after its entry's end a lane still owns what it has started; a loop that runs on is the session's then."""
_monotonic = time.monotonic
_now = time.time_ns  # as it is now: what the app reads is replayed


_contexts = getattr(otel_context._RUNTIME_CONTEXT, "_current_context", None)  # noqa: SLF001 - see current_context
current_context: Callable[[], Context] = (
    _contexts.get if isinstance(_contexts, ContextVar) else otel_context.get_current
)
"""The current OpenTelemetry context, without two calls: a script may ask for its lane millions of times."""
NO_CONTEXT: object = Variables().run(_contexts.get) if isinstance(_contexts, ContextVar) else None
"""The context where nobody has attached any: it is in no lane and in no span."""


class Bequest(NamedTuple):
    """A lane that one process runs, and another ends where that one is killed.

    Attributes:
        lane_id: on which both have agreed.
        is_heir: whether this is the other one.
        began: when, in nanoseconds; 0 for now.
    """

    lane_id: str
    is_heir: bool = False
    began: int = 0


class _Process:
    """The id of this process, asked for once a fork: the system call would be the dearest part of finding a lane."""

    stands_in = False
    """Whether a fork is under way whose child takes this process's place, as a debugger makes them to run code again.

    The child is then not a child of this process, but this process: the same session goes on in it.
    """

    def __init__(self) -> None:
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        self.id = os.getpid()
        if not self.stands_in:
            self.end_lanes()

    def end_lanes(self) -> None:
        """No lane of before counts any more: those of a parent, and those of a runtime that is gone."""
        self.life = object()
        self.enclosing: Lane | None = None
        """The lane that all of the process belongs to, whatever its contexts say: a test's."""


process = _Process()
_entering: ContextVar[Lane | None] = ContextVar("timetracer_lane", default=None)
entered_lane = _entering.get
"""The lane entered last in this context, for code that is too hot for :func:`lane_of`; it may be another process's."""


class Lane(ABC):
    """One entry's execution, or the session of this process.

    Args:
        lane_id: 32 hexadecimal digits.
        entry: what started it; None for a session.
    """

    root: Branch | None = None
    """The branch that its threads and tasks are counted in, once it starts one."""
    code_ended: float | None = None
    """When its entry's code had ended, or late work of it began last; None before."""

    def __init__(self, lane_id: str, entry: Entry | None) -> None:
        self.id = lane_id
        self.entry = entry
        self.pid = process.id
        self.life = process.life
        self.draws: object = None
        """The draws of the lane, taken or still to be given; each mode has its own class."""

    @property
    def is_session(self) -> bool:
        """Whether this is the process's session."""
        return self.entry is None

    def holds(self) -> bool:
        """Whether code that carries this lane belongs to it: not in a forked child, not long after its end."""
        return self.life is process.life and (self.code_ended is None or _monotonic() - self.code_ended < LATE_SECONDS)

    def end_code(self) -> None:
        """Take note that the entry's own code has ended; what it started may go on."""
        self.code_ended = _monotonic()

    def begin_late_work(self) -> None:
        """Take note that work begins that was handed over before; a pool may take it up long after the lane's end."""
        if self.code_ended is not None:
            self.code_ended = _monotonic()

    @abstractmethod
    def finish(self, error: BaseException | None) -> None:
        """End the lane's entry, which knows its outcome.

        Args:
            error: the exception that left the app, None when there was none.
        """

    def settle(self) -> None:  # noqa: B027 - nothing, where nothing is written
        """Wait until the finished lane is on the disk, as far as that may be: its entry is about to be acknowledged."""

    def grew(self, message: Message, size: int) -> None:  # noqa: B027 - most lanes need nothing
        """Take note that a message of the entry has grown; what records may send its bytes away.

        Args:
            message: that has.
            size: bytes that were added.
        """

    def complete(self, call: Call) -> None:  # noqa: B027 - nothing, where calls are not recorded
        """Take the payloads of a call that has them all.

        Args:
            call: that belongs to this lane.
        """

    def late(  # noqa: B027 - as above
        self, call: Call, kind: str, attributes: Callable[[], Iterable[dict[str, spans.Attribute]]], size: int
    ) -> None:
        """Take payloads that completed after their call's span could take them, or are too large for one span.

        Args:
            call: that belongs to this lane.
            kind: ``body`` or ``chunk``.
            attributes: encodes the payloads, for one child span after the other.
            size: bytes that wait meanwhile.
        """

    def entered(self) -> Entered:
        """A context manager: inside it, calls belong to this lane."""
        return Entered(self)

    def take_up(self) -> None:
        """Let calls belong to this lane from here on, until :meth:`lay_down`.

        For entries that the app's own loop takes (a consumer's next message): no block of ours goes around its code.
        """
        otel_context.attach(otel_context.set_value(LANE_KEY, self))
        _entering.set(self)
        _tell_waiter(self.take_up)

    def lay_down(self) -> None:
        """End what :meth:`take_up` began, in whatever context the loop goes on; of another lane's it ends nothing."""
        if _entering.get() is self:
            otel_context.attach(otel_context.set_value(LANE_KEY, None))
            _entering.set(None)
        _tell_waiter(self.lay_down)


DEEPEST: Final = 32
"""How many branches may lead to one. A timer that starts itself again would have an endless trail."""
PIECE: Final = "pool:"
"""How the names of work begin that a pool hands out to processes: numbered by who asked for it, whoever does it."""


class Branch:
    """One thread, task or piece of work of a lane.

    Args:
        lane: that it belongs to.
        path: its name, empty for the lane itself.
        starter: the branch that started it.
    """

    __slots__ = ("_began", "_depth", "_starter", "children", "is_task", "lane", "path", "source")

    def __init__(self, lane: Lane, path: str = "", starter: Branch | None = None) -> None:
        self.lane = lane
        self.path = path
        self._depth: int = 0 if starter is None else starter._depth + 1  # noqa: SLF001 - of the same class
        self.children: dict[object, int] = {}
        self._starter = starter
        self._began = 0 if starter is None else _now()
        self.is_task: bool | None = None
        """Whether it is a whole task, or a whole thread; None for what is neither, as a piece of work for a pool."""
        self.source = 0
        """The identity of the queue that its work was taken from; 0 where it came from none."""

    @property
    def trail(self) -> str:
        """The branches that led here, see :data:`spans.BRANCH`."""
        if self._starter is None:
            return ""
        return f"{self._starter.trail} {self.path.rpartition('.')[2]}@{self._began}".lstrip()

    def child(self, function: object) -> Branch:
        """The branch of what is started from here next; at the deepest one that of the next beside it.

        Args:
            function: what tells functions apart.
        """
        if self._depth >= DEEPEST and self._starter is not None:
            return self._starter.child(function)
        number = self.children.get(function, 0)
        self.children[function] = number + 1
        return Branch(self.lane, f"{self.path}.{number}" if self.path else str(number), self)


class Piece(Branch):
    """Work that another process has handed out: nobody here knows when, so none is certain to come behind another.

    Args:
        starter: the branch of the process that does it.
        name: see :data:`PIECE`.
    """

    __slots__ = ()

    def __init__(self, starter: Branch, name: str) -> None:
        super().__init__(starter.lane, PIECE + name, starter)
        self._began = 0


class Entered:
    """Makes a lane current for a ``with`` block. Cheap, because a streaming body enters once a chunk."""

    __slots__ = ("_lane", "_tokens")

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def __enter__(self) -> Lane:
        self._tokens: tuple[Token[Context], Token[Lane | None]] = (
            otel_context.attach(otel_context.set_value(LANE_KEY, self._lane)),
            _entering.set(self._lane),
        )
        return self._lane

    def __exit__(self, *_: object) -> None:
        otel, plain = self._tokens
        otel_context.detach(otel)
        try:
            _entering.reset(plain)
        except ValueError:  # an abandoned coroutine is closed from another context, where there is nothing to reset
            return


waiters: Final[WeakKeyDictionary[Any, list[Callable[[], None]]]] = WeakKeyDictionary()
"""Of tasks that do a step of who waits for them, what that one does too: lanes that they took up, or laid down."""


def _tell_waiter(step: Callable[[], None]) -> None:
    if waiters and asyncio._get_running_loop() is not None:  # noqa: SLF001 - public in C only, and never raises
        steps = waiters.get(asyncio.current_task())
        if steps is not None:
            steps.append(step)


@contextmanager
def outside() -> Iterator[None]:
    """Run a block outside of any entry: what a driver hands out while an entry waits for it is none of its."""
    context, entered = otel_context.attach(Context()), _entering.set(None)
    try:
        yield
    finally:
        _entering.reset(entered)
        otel_context.detach(context)


def entering() -> Lane | None:
    """The entry's lane whose code the current one is part of, also in a thread or a task that it has started.

    Never stale: unlike :func:`lane_of`, what an OpenTelemetry context kept from an earlier entry does not count.
    """
    lane = _entering.get()
    return (
        process.enclosing
        if lane is None or lane.is_session or lane.life is not process.life or lane.code_ended is not None
        else lane
    )


def lane_of(context: Context | None = None) -> Lane | None:
    """Give the lane of an OpenTelemetry context (the current one when None); outside any entry the enclosing one."""
    if context is None:
        context = otel_context.get_current()
    lane = context.get(LANE_KEY)
    if lane is None:
        lane = getattr(context.get(_SPAN_KEY), _SPAN_ATTRIBUTE, None)
    if lane is None:
        lane = _entering.get()
    if lane is None:
        return process.enclosing
    lane = cast("Lane", lane)
    # A forked child inherits its parent's context; the lane stays with the process that runs it.
    return lane if (lane.life is process.life and lane.code_ended is None) or lane.holds() else process.enclosing


def mark(span: object, lane: Lane) -> None:
    """Let a span carry its lane, for contexts that keep the span but lose our key."""
    setattr(span, _SPAN_ATTRIBUTE, lane)
