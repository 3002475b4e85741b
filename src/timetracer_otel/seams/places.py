"""Which child of its parent a process is, in words that the next run has for it too.

A child is counted where it is started: in a lane, in a branch of it. So requests that start processes at the same time
do not mix theirs, and neither process ids nor the order in which children come up count. A place begins with the id of
the entry that the child was started for, also by other children; with nothing where there is none.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from weakref import WeakKeyDictionary

from timetracer_otel.seams import branches, faults
from timetracer_otel.seams.lanes import Lane, process

__all__ = ["begin_at", "entry", "forked", "has_started", "next_place"]

_counted: WeakKeyDictionary[Lane, defaultdict[str, Iterator[int]]] = WeakKeyDictionary()
_thread = threading.local()  # the thread that forks is the only one in the child
_started_for = [""]
"""The entry that this process was started for."""
_started = [False]
"""Whether this process has started others."""


def begin_at(place: str) -> None:
    """Take note of the place of this process."""
    _started_for[0] = place.partition("/")[0]


def entry() -> str:
    """The id of the entry that the current code works for, in this process or one that started it; empty of none."""
    return _entry_of(branches.current_lane())


def _entry_of(lane: Lane | None) -> str:
    return _started_for[0] if lane is None or lane.is_session else lane.id


def next_place() -> str:
    """The place of the child that is about to be started; empty when nothing is installed."""
    _started[0] = True
    lane = branches.current_lane()
    if lane is None:
        return ""
    branch = branches.branch_in(lane, branches.here())
    numbers = _counted.setdefault(lane, defaultdict(count))
    return f"{_entry_of(lane)}/{branch}/{next(numbers[branch])}"


def has_started() -> bool:
    """Whether this process has started others: their recordings name it as their parent."""
    return _started[0]


def forked() -> str:
    """The place of this process, in the child of a fork."""
    return getattr(_thread, "place", "")


def _note_place() -> None:
    if process.stands_in:
        return
    try:
        _thread.place = next_place()
    except Exception as error:  # noqa: BLE001 - the app forks whatever we think of it
        faults.report("places.fork", error)
        _thread.place = ""


def _begin_in_child() -> None:
    if not process.stands_in:
        begin_at(forked())
        _started[0] = False


os.register_at_fork(before=_note_place, after_in_child=_begin_in_child)
