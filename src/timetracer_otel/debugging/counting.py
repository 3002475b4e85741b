"""Where a lane is: the lines of the app that it has begun, counted for each of its branches.

A place is the same line of the same run again: threads and tasks interleave otherwise each time, what one of them does
is the same. Since Python 3.12 :mod:`sys.monitoring` counts, beside the debugger; before, a place is found by how often
its line was reached, which the condition of a breakpoint counts.
"""

from __future__ import annotations

import os
import sys
import threading
from array import array
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import CodeType, FrameType
from typing import Any, Final, Self

from timetracer_otel.nondeterminism import callers
from timetracer_otel.seams.branches import here
from timetracer_otel.seams.lanes import Lane, entered_lane, lane_of

__all__ = ["COUNTS", "EXACT", "FIRST", "OWN", "Counter", "Place", "Scout", "at", "is_app", "resume", "stop"]

COUNTS: Final = sys.version_info >= (3, 12)
"""Whether this Python counts lines while it is debugged, so that there is a way back."""
OWN: Final = -1
"""To look back from a line for one that is nested no deeper than it."""
EXACT: Final = -2
"""Not to look back, but for the line itself."""
FIRST: Final = -3
"""Neither, but for the first line of all."""
_DEBUGGER: Final = f"{os.sep}debugpy{os.sep}"
"""In the file names of its code."""
_TOOL: Final = 4
"""Of :mod:`sys.monitoring`. A debugger is 0; tools with higher numbers are told first, so that the count is current."""
_current: list[Counter] = []
"""The one of this process."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line that a branch is about to run.

    Attributes:
        branch: its name, see :mod:`timetracer_otel.seams.branches`.
        number: of the line among all that the branch runs, from 1 on.
        file: that the line is in.
        line: its number there.
        hit: how often the branch has come to that line, from 1 on.
    """

    branch: str
    number: int
    file: str
    line: int
    hit: int

    def as_facts(self) -> dict[str, Any]:
        """As JSON-like data."""
        return asdict(self)

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Self:
        """Read :meth:`as_facts`."""
        return cls(**facts)

    @property
    def condition(self) -> str:
        """The condition of a breakpoint on that line."""
        return f"__import__('{__name__}', fromlist=['at']).at({self.branch!r}, {self.number}, {self.hit})"


class Counter:
    """Counts the lines of a lane that is about to begin in this process.

    Args:
        lane_id: of the lane.
    """

    def __init__(self, lane_id: str) -> None:
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.hits: defaultdict[tuple[str, int], int] = defaultdict(int)
        self.stopped: tuple[str, int] | None = None
        self._lane_id = lane_id
        self._lane: Lane | None = None

    def begin(self) -> None:
        """Count from now on."""
        _current[:] = [self]
        if COUNTS:
            _monitor(self)

    def branch(self) -> str | None:
        """The branch of the lane that the current code runs in; None when it is not the lane's."""
        lane = entered_lane() or lane_of()
        if lane is not self._lane or lane is None:
            if lane is None or lane.id != self._lane_id:
                return None
            self._lane = lane
        branch = here()
        return "" if branch is None or branch.lane is not lane else branch.path

    def line(self, code: CodeType, number: int) -> None:
        """Take note that a line of the app is about to run.

        Args:
            code: that it belongs to.
            number: of the line.
        """
        branch = self.branch()
        if branch is not None:
            self.counts[branch] += 1


class _Log:
    """The lines of one branch, in the order in which it ran them."""

    def __init__(self) -> None:
        self.depths = array("I")
        self.codes: list[CodeType] = []
        self.lines = array("I")

    def place(self, branch: str, number: int) -> Place:
        """The place of a line.

        Args:
            branch: whose log it is.
            number: of the line in it, from 1 on.
        """
        file, line = self.codes[number - 1].co_filename, self.lines[number - 1]
        hit = sum(self.lines[at] == line and self.codes[at].co_filename == file for at in range(number))
        return Place(branch, number, file, line, hit)

    def last(self, fits: Callable[[int], bool]) -> int:
        """The number of the last line that fits; 0 when none does.

        Args:
            fits: is given a position, from 0 on.
        """
        return next((at + 1 for at in range(len(self.lines) - 1, -1, -1) if fits(at)), 0)


class Scout(Counter):
    """Runs ahead of the debugger to find a place, in a process that ends there.

    Args:
        lane_id: of the lane.
        found: is given the place.
        call: of a recorded call, before whose line the place is; empty to look for a way back.
        back: from where to look back: branch, number of lines, and how deep the app's functions are nested at most;
            or one of :data:`OWN`, :data:`EXACT` and :data:`FIRST`.
        inside: whether a library is under way there, that the line has called.
    """

    def __init__(
        self,
        lane_id: str,
        found: Callable[[Place], None],
        call: str = "",
        back: tuple[str, int, int] = ("", 0, OWN),
        *,
        inside: bool = False,
    ) -> None:
        super().__init__(lane_id)
        self._inside = inside
        self._found = found
        self._call = call
        self._branch, self._number, self._depth = back
        self._logs: defaultdict[str, _Log] = defaultdict(_Log)

    def begin(self) -> None:
        """Look from now on."""
        super().begin()
        if not COUNTS:
            _trace(self)

    def line(self, code: CodeType, number: int) -> None:
        """Take note of a line, and tell when the way back is known."""
        branch = self.branch()
        if branch is None:
            return
        log = self._logs[branch]
        log.depths.append(depth(sys._getframe(1)))  # noqa: SLF001 - the frame of the line
        log.codes.append(code)
        log.lines.append(number)
        if self._call:
            return
        if self._depth == FIRST or (branch == self._branch and len(log.lines) >= self._number):
            self._found(self._before())

    def _before(self) -> Place:
        """The line before, in the same function or one that has called it; the lane's first when there is none."""
        first = next(iter(self._logs))
        if self._depth == FIRST:
            return self._logs[first].place(first, 1)
        log = self._logs[self._branch]
        if self._depth == EXACT:
            return log.place(self._branch, self._number)
        now = len(log.lines) - 1
        bound = log.depths[now] if self._depth == OWN else self._depth
        stands_on_it = log.depths[now] <= bound and not self._inside
        number = log.last(lambda at: log.depths[at] <= bound and not (at == now and stands_on_it))
        return log.place(self._branch, number) if number else self._logs[first].place(first, 1)

    def heard(self, note: dict[str, Any]) -> None:
        """Take what the replay notes, and tell when the call is answered.

        Args:
            note: for the journal.
        """
        if self._call and note.get("span") == self._call:
            self._found(self._asking())

    def _asking(self) -> Place:
        """The line that is asking now; of a driver's own thread, the last of the branch that has started it."""
        branch = self.branch() or ""
        while branch and branch not in self._logs:
            branch = branch.rpartition(".")[0]
        log = self._logs[branch]
        frame = _app_frame(sys._getframe(1))  # noqa: SLF001 - the cheap way to the stack
        number = 0
        if frame is not None:
            code, line = frame.f_code, frame.f_lineno
            number = log.last(lambda at: log.codes[at] is code and log.lines[at] == line)
        return log.place(branch, number or len(log.lines))


def is_app(frame: FrameType) -> bool:
    """Whether a frame runs code of the app that stands in a file."""
    filename = frame.f_code.co_filename
    kind = callers.known.get(filename)
    if kind is None:
        kind = callers.classify(frame)
    return kind not in {callers.PLUMBING, callers.LIBRARY} and filename.endswith(".py")


def depth(frame: FrameType | None) -> int:
    """How many functions of the app are under way.

    Args:
        frame: the innermost.
    """
    found = 0
    while frame is not None:
        found += is_app(frame)
        frame = frame.f_back
    return found


def _app_frame(frame: FrameType | None) -> FrameType | None:
    while frame is not None and not is_app(frame):
        frame = frame.f_back
    return frame


def at(branch: str, number: int, hit: int) -> bool:
    """Whether a place is reached; the condition of a breakpoint on its line.

    Args:
        branch: of the place.
        number: likewise.
        hit: likewise.
    """
    if not _current:
        return False
    counter = _current[0]
    if counter.branch() != branch:
        return False
    if COUNTS:
        return counter.counts[branch] == number
    counter.hits[branch, number] += 1
    return counter.hits[branch, number] == hit


def stop() -> str:
    """Say where the lane has stopped: number of lines, nesting, whether in a library, branch; empty outside the lane.

    What is evaluated until :func:`resume` does not count.
    """
    counter = _current[0] if _current else None
    branch = counter.branch() if counter is not None else None
    if counter is None or branch is None:
        return ""
    counter.stopped = branch, counter.counts[branch]
    frame = sys._getframe(1)  # noqa: SLF001 - see _asking
    return f"{counter.counts[branch]} {depth(frame)} {_is_in_library(frame):d} {branch}"


def _is_in_library(asking: FrameType) -> bool:
    """Whether what the debugger has stopped is no code of the app's.

    Args:
        asking: the frame of what the debugger evaluates there.
    """
    frame: FrameType | None = asking
    while frame is not None and (frame.f_code.co_filename == "<string>" or _DEBUGGER in frame.f_code.co_filename):
        frame = frame.f_back
    return frame is not None and not is_app(frame)


def resume() -> None:
    """Go on counting where :func:`stop` was."""
    for counter in _current:
        if counter.stopped is not None:
            branch, number = counter.stopped
            counter.counts[branch], counter.stopped = number, None


def _monitor(counter: Counter) -> None:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore] # since Python 3.12
    events, line = monitoring.events, counter.line

    def started(code: CodeType, _offset: int) -> object:
        if is_app(sys._getframe(1)):  # noqa: SLF001 - the frame that starts
            monitoring.set_local_events(_TOOL, code, events.LINE)
        return monitoring.DISABLE

    monitoring.use_tool_id(_TOOL, "timetracer")
    monitoring.register_callback(_TOOL, events.PY_START, started)
    monitoring.register_callback(_TOOL, events.LINE, line)
    monitoring.set_events(_TOOL, events.PY_START)


def _trace(counter: Counter) -> None:
    def called(frame: FrameType, _event: str, _argument: object) -> Any:
        return within if is_app(frame) else None

    def within(frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line":
            counter.line(frame.f_code, frame.f_lineno)
        return within

    sys.settrace(called)
    threading.settrace(called)
