"""Which child of its parent a process is, in words that the next run has for it too.

A child is counted where it is started: in a lane, in a branch of it. So requests that start processes at the same time
do not mix theirs, and neither process ids nor the order in which children come up count.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from weakref import WeakKeyDictionary

from timetracer_otel.seams import branches, faults
from timetracer_otel.seams.lanes import Lane

__all__ = ["forked", "next_place"]

_counted: WeakKeyDictionary[Lane, defaultdict[str, Iterator[int]]] = WeakKeyDictionary()
_thread = threading.local()  # the thread that forks is the only one in the child


def next_place() -> str:
    """The place of the child that is about to be started; empty when nothing is installed."""
    lane = branches.current_lane()
    if lane is None:
        return ""
    branch = branches.branch_in(lane, branches.here())
    numbers = _counted.setdefault(lane, defaultdict(count))
    return f"{'' if lane.is_session else lane.id}/{branch}/{next(numbers[branch])}"


def forked() -> str:
    """The place of this process, in the child of a fork."""
    return getattr(_thread, "place", "")


def _note_place() -> None:
    try:
        _thread.place = next_place()
    except Exception as error:  # noqa: BLE001 - the app forks whatever we think of it
        faults.report("places.fork", error)
        _thread.place = ""


os.register_at_fork(before=_note_place)
