"""Work in queues: what a lane puts in, and a worker of the app's own takes out, is done for that lane.

A worker is a thread or a task that no entry's code runs in, or that was started by hand, and its own loop takes the
items. Code further in takes connections and answers from queues, and goes on for whom it works; so does the entry's
own. Things that are lent and come back are no work.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from inspect import iscoroutine
from threading import Lock
from types import FrameType
from typing import Any, Final
from weakref import WeakKeyDictionary

from timetracer_otel.seams import branches, faults, runtime
from timetracer_otel.seams.branches import Branch
from timetracer_otel.seams.integration import Patch
from timetracer_otel.seams.lanes import Entered, entered_lane, process
from timetracer_otel.seams.queue_notes import Notes

__all__ = ["PATCHES"]

_LENT: Final = ("close", "aclose", "disconnect")
"""What connections and files have: queues hand them from user to user."""
_KNOWN: Final = "concurrent.futures.thread"
"""Its items know whose they are: see :mod:`carrying`."""
_FURTHEST: Final = 2
"""Functions between the one that a thread or task runs and the one that takes from the queue."""
_SORTED: Final = {"LifoQueue", "PriorityQueue"}
"""Classes of Python, asyncio and gevent: pools of connections are queues too, last in first out."""
_TAKING: Final = ("queue", "asyncio.queues", "gevent.queue", "timetracer_otel.seams.queues", faults.__name__)
_STARTING: Final = ("threading", "asyncio", "gevent", "timetracer_otel", "opentelemetry")

_notes: WeakKeyDictionary[Any, Notes] = WeakKeyDictionary()
_making = Lock()


def _put(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``_put`` of the queues of Python, which is called with their locks held."""

    def _put_(self: Any, item: Any) -> Any:
        given = original(self, item)
        faults.guarded("queue.put", _note, self, item)
        return given

    return _put_


def _note(into: Any, item: Any) -> None:
    branch, notes = _for_whom(item), _notes.get(into)
    if branch is None and notes is None:
        return
    items = _items(into)
    if notes is None:
        notes = _notes[into] = Notes(one for one in items if one is not item)
    notes.put(item, branch, len(items))


def _get(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around their ``_get``."""

    def _get_(self: Any) -> Any:
        item = original(self)
        if (notes := _notes.get(self)) is not None:
            faults.guarded("queue.get", _take, self, notes, item, len(_items(self)))
        return item

    return _get_


def _put_simple(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``SimpleQueue.put``, which is of C: nothing but ``get`` takes items out."""

    def put(self: Any, item: Any, *args: Any, **kwargs: Any) -> Any:
        faults.guarded("queue.put", _note_simple, self, item)
        return original(self, item, *args, **kwargs)

    return put


def _note_simple(into: Any, item: Any) -> None:
    branch, notes = _for_whom(item), _notes.get(into)
    if notes is None and branch is not None:
        with _making:
            notes = _notes.setdefault(into, Notes())
    if notes is not None:
        notes.put(item, branch)


def _get_simple(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``SimpleQueue.get``."""

    def get(self: Any, *args: Any, **kwargs: Any) -> Any:
        item = original(self, *args, **kwargs)
        if (notes := _notes.get(self)) is None:
            _serve_everybody()
        else:
            faults.guarded("queue.get", _take, self, notes, item)
        return item

    return get


def _put_green(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``put`` of gevent's queues, of C too: who waits for an item runs later, so that it is noted in time."""

    def put(self: Any, item: Any, *args: Any, **kwargs: Any) -> Any:
        given = original(self, item, *args, **kwargs)
        if not isinstance(self, sys.modules["gevent.queue"].LifoQueue):
            faults.guarded("queue.put", _note, self, item)
        return given

    return put


def _put_green_at_once(_original: Callable[..., Any]) -> Callable[..., Any]:
    """Stand in for their ``put_nowait``: that calls ``put`` as only a subclass would see."""

    def put_nowait(self: Any, item: Any) -> Any:
        return self.put(item, block=False)

    return put_nowait


def _get_green(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around their ``get``."""

    def get(self: Any, *args: Any, **kwargs: Any) -> Any:
        item = original(self, *args, **kwargs)
        if (notes := _notes.get(self)) is None:
            _end_unknown(self)
        else:
            faults.guarded("queue.get", _take, self, notes, item, len(self))
        return item

    return get


def _get_green_at_once(_original: Callable[..., Any]) -> Callable[..., Any]:
    """Stand in for their ``get_nowait``."""

    def get_nowait(self: Any) -> Any:
        return self.get(block=False)

    return get_nowait


def _get_whole(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``Queue.get``."""

    def get(self: Any, *args: Any, **kwargs: Any) -> Any:
        item = original(self, *args, **kwargs)
        _end_unknown(self)
        return item

    return get


def _get_async(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``asyncio.Queue.get`` likewise."""

    async def get(self: Any) -> Any:
        item = await original(self)
        _end_unknown(self)
        return item

    return get


def _end_unknown(of: Any) -> None:
    """End the work for a lane that is over, where nobody knows whose what was taken is."""
    if _notes.get(of) is None and _SORTED.isdisjoint(base.__name__ for base in type(of).__mro__):
        _serve_everybody()


def _items(of: Any) -> Any:
    """What is in a queue of Python or gevent."""
    return of.queue if hasattr(of, "queue") else of._queue  # noqa: SLF001 - asyncio's, which are otherwise the same


def _for_whom(item: Any) -> Branch | None:
    """Give the branch of work that the current code puts into a queue; None for what is no work of an entry's."""
    lane = branches.current_lane()
    if lane is None or lane.is_session or process.enclosing is not None or _is_lent(item):
        return None
    return None if type(item).__module__ == _KNOWN else branches.started(_put)


def _is_lent(item: Any) -> bool:
    if type(item) is tuple:
        return bool(item) and all(map(_is_lent, item))
    return any(hasattr(type(item), name) for name in _LENT) and not iscoroutine(item)


def _take(of: Any, notes: Notes, item: Any, size: int | None = None) -> None:
    """Work from here on for whoever has put an item in, if this is a worker."""
    branch = notes.take(item, size)
    if not _is_worker(of, sys._getframe(1)):  # noqa: SLF001 - the cheap way
        notes.lend(item)
    elif branch is not None:
        branch.source = id(of)
        branches.go_on_in(branch)
    else:
        notes.lend(item)
        mine = branches.here()
        if mine is not None and mine.source == id(of) and mine.lane is entered_lane():
            _serve_the_session()
        else:
            _serve_everybody()


def _is_worker(of: Any, frame: FrameType) -> bool:
    """Whether code that takes from a queue is the loop of a worker."""
    lane, mine = entered_lane(), branches.here()
    is_async = isinstance(of, asyncio.Queue)
    if lane is not None and not lane.is_session and lane.holds():
        is_started = mine is not None and mine.lane is lane and (mine.source or mine.is_task is is_async)
        if not is_started and lane.code_ended is None:
            return False
    task = asyncio.current_task() if is_async else None
    return _is_outermost(frame, None if task is None else getattr(task.get_coro(), "cr_frame", None))


def _is_outermost(frame: FrameType | None, base: FrameType | None) -> bool:
    """Whether the code that takes from a queue is what a thread or a task runs, or not far from it."""
    while frame is not None and frame.f_globals.get("__name__") in _TAKING:
        frame = frame.f_back
    for _ in range(_FURTHEST + 1):
        if frame is None or frame is base:
            return True
        frame = frame.f_back
        if frame is None or str(frame.f_globals.get("__name__")).partition(".")[0] in _STARTING:
            return True
    return False


def _serve_everybody() -> None:
    """A loop that a request has started, and that goes on behind it, works for everybody: it is the session's."""
    lane = entered_lane()
    if lane is not None and lane.code_ended is not None:
        _serve_the_session()


def _serve_the_session() -> None:
    active = runtime.active()
    if active is not None:
        Entered(active.session()).__enter__()


PATCHES: Final = (
    # Where gevent has put its own in the place of Python's already, they are patched by its name.
    *(
        Patch(module, f"{kind}.{name}", maker=maker, required=False)
        for module in ("queue", "asyncio.queues")
        for kind in ("Queue", "PriorityQueue")
        for name, maker in (("_put", _put), ("_get", _get))
    ),
    Patch("queue", "Queue.get", maker=_get_whole, required=False),
    Patch("asyncio.queues", "Queue.get", maker=_get_async),
    *(
        Patch(module, f"SimpleQueue.{name}", maker=maker, underneath=True, required=False)
        for module, makers in (
            ("_queue", (_put_simple, _put_simple, _get_simple, _get_simple)),
            ("gevent.queue", (_put_green, _put_green_at_once, _get_green, _get_green_at_once)),
        )
        for name, maker in zip(("put", "put_nowait", "get", "get_nowait"), makers, strict=True)
    ),
)
