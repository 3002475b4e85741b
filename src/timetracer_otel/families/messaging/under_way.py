"""What the processes of a worker are at: where one of them is killed, the main process ends the lanes it has left.

A child takes its task from the queue by itself, so nobody else knows of it. It says so in a file without a name, which
it shares with its parent: whoever is killed leaves that behind, and nothing is left once all of them are gone. Where
the system can (Linux), the file is memory: a task has secrets, which no disk is to hold as they are.
"""

from __future__ import annotations

import os
import pickle
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Final

from timetracer_otel.families.entry.running import Running
from timetracer_otel.families.kinds.task import Outcome, Task
from timetracer_otel.seams import Bequest, faults

__all__ = ["UnderWay", "begin", "end"]

_PLACES: Final = 4096
"""Of all processes together."""
_EACH: Final = 64
"""Of one process: as many tasks as it runs at once. Those above it are not noted."""
_SIZE: Final = 1 << 26
"""Bytes of the largest task that is noted. The file has holes: it takes what is written."""
_HELD: Final = struct.Struct("=Q")
_BEGIN: Final = _PLACES * _HELD.size
"""Behind the sizes of what the places hold."""
_now: Final = time.time_ns  # as it is now: what the app reads is replayed


class _Process:
    """What this process has joined, where it is a worker's child."""

    joined: UnderWay | None = None


_process: Final = _Process()


def begin(task: Task) -> Bequest | None:
    """Note a task of this process; give what its lane is called, None where nobody else could end that.

    Args:
        task: whose lane is about to be opened.
    """
    return None if _process.joined is None else _process.joined.begin(task)


def end(bequest: Bequest | None) -> None:
    """Forget a task of this process, whose lane is on the disk.

    Args:
        bequest: what :func:`begin` gave.
    """
    if bequest is not None and _process.joined is not None:
        _process.joined.end(bequest.lane_id)


class UnderWay:
    """The tasks that forked children are at. The parent makes it before it starts them.

    Raises:
        OSError: no temporary file can be made.
    """

    def __init__(self) -> None:
        self._file = _nameless()
        self._free: list[int] = []
        self._taken: dict[str, int] = {}

    def join(self, child: int = 0) -> None:
        """Take the places of a child, in it: what that is at is noted here from now on.

        Args:
            child: its number among those that share this, from 0.
        """
        first = child * _EACH
        self._free = list(range(min(first, _PLACES), min(first + _EACH, _PLACES)))
        self._taken.clear()
        _process.joined = self

    def begin(self, task: Task) -> Bequest | None:
        """As the function :func:`begin`; None where there is no place for it."""
        if not self._free:
            return None
        lane_id = os.urandom(16).hex()
        data = faults.guarded("under_way.begin", pickle.dumps, (lane_id, _now(), task))
        if data is None or len(data) > _SIZE:
            return None
        with suppress(OSError, IndexError):  # a full disk; another thread has taken the last one
            place = self._free.pop()
            os.pwrite(self._file.fileno(), data, _BEGIN + place * _SIZE)
            os.pwrite(self._file.fileno(), _HELD.pack(len(data)), place * _HELD.size)
            self._taken[lane_id] = place
            return Bequest(lane_id)
        return None

    def end(self, lane_id: str) -> None:
        """As the function :func:`end`."""
        place = self._taken.pop(lane_id, None)
        if place is not None:
            with suppress(OSError):
                os.pwrite(self._file.fileno(), _HELD.pack(0), place * _HELD.size)
            self._free.append(place)

    def end_left(self) -> None:
        """End the lanes of the tasks that nobody is at any more, in the parent: the children are no more."""
        for lane_id, began, task in faults.guarded("under_way.left", lambda: list(self._left())) or ():
            task.outcome = Outcome("FAILURE", error=RuntimeError("the process that ran it was killed"))
            with Running(task, bequest=Bequest(lane_id, is_heir=True, began=began)):
                pass

    def _left(self) -> Iterator[tuple[str, int, Task]]:
        number = self._file.fileno()
        for place, (size,) in enumerate(_HELD.iter_unpack(_whole(os.pread(number, _BEGIN, 0)))):
            if size:
                os.pwrite(number, _HELD.pack(0), place * _HELD.size)
                yield pickle.loads(os.pread(number, size, _BEGIN + place * _SIZE))  # noqa: S301 - our own child's


def _nameless() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("timetracer"), "r+b", buffering=0)
    return tempfile.TemporaryFile(prefix="timetracer-", buffering=0)


def _whole(data: bytes) -> bytes:
    """Without the rest of a number: a file that was written to once is as long as that."""
    return data[: len(data) // _HELD.size * _HELD.size]
