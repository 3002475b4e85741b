"""pdb in a replay: it stops at a function of the app, in whatever thread runs that, with the user's terminal."""

from __future__ import annotations

import os
import pdb  # noqa: T100 - the debugger that --debug pdb is
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Any, Final, TypeAlias, cast

from timetracer_otel.debugging.counting import Counter, Place, is_app
from timetracer_otel.seams.handlers import code_of

__all__ = ["LineStop", "around", "stop_in_main"]

_Tracer: TypeAlias = Callable[[FrameType, str, Any], Any]
_OURS: Final = "timetracer_otel.*"
_TERMINAL: Final = Path("/dev/tty")


class Terminal(pdb.Pdb):
    """A debugger of the terminal that takes over a function which is about to begin."""

    def __init__(self) -> None:
        stdin, stdout = _streams()
        # Without a handler of Ctrl-C: it stays the server's.
        super().__init__(skip=[_OURS], stdin=stdin, stdout=stdout, nosigint=True)

    def take(self, frame: FrameType, where: str) -> _Tracer:
        """Stop at a function's first line.

        Args:
            frame: of the function that is being called.
            where: says to people what that is.

        Returns:
            What traces the frame.
        """
        self.reset()
        self.botframe = frame.f_back or frame  # else pdb takes each call for the first one
        self.set_step()
        self.message(f"timetracer: stopped at {where}")
        tracer: _Tracer = self.trace_dispatch
        sys.settrace(tracer)
        return tracer

    def take_line(self, frame: FrameType, where: str) -> _Tracer:
        """Stop at a line that is about to run.

        Args:
            frame: of the line.
            where: says to people what that is.

        Returns:
            What traces the frame.
        """
        self.reset()
        outer: FrameType | None = frame
        while outer is not None:  # so that it can be stepped out of
            outer.f_trace, self.botframe, outer = self.trace_dispatch, outer, outer.f_back
        self.set_step()
        self.message(f"timetracer: stopped at {where}")
        sys.settrace(self.trace_dispatch)
        tracer: Any = self.trace_dispatch(frame, "line", None)
        return cast("_Tracer", tracer)  # typeshed knows a tracer by its events


@contextmanager
def around(handler: Callable[..., Any], where: str) -> Iterator[None]:
    """Stop in a handler that is called in a ``with`` block.

    Args:
        handler: the app's function; where it has no code of Python, the first of the app's that it calls counts.
        where: says to people what that is.
    """
    code = code_of(handler)
    tracer = _waiting(is_app if code is None else lambda frame: frame.f_code is code, where)
    sys.settrace(tracer)
    try:
        yield
    finally:
        if sys.gettrace() is tracer:
            sys.settrace(None)


class LineStop:
    """Waits for a place of a lane, in every thread that works for it.

    Args:
        place: where to stop.
        lane_id: of the lane.
        where: says to people what that is.
    """

    def __init__(self, place: Place, lane_id: str, where: str) -> None:
        self._place = place
        self._counter = Counter(lane_id)
        self._hits = 0
        self._where = where

    def begin(self) -> None:
        """Look at this thread and those that it will start, where Python can at all others."""
        set_everywhere = getattr(threading, "settrace_all_threads", threading.settrace)
        set_everywhere(self._called)
        sys.settrace(self._called)

    @contextmanager
    def around(self, _handler: Callable[..., Any]) -> Iterator[None]:
        """Look at the thread that runs a handler, which may be older than the entry."""
        if sys.gettrace() is None:
            sys.settrace(self._called)
        yield

    def _called(self, frame: FrameType, _event: str, _argument: object) -> _Tracer | None:
        return self._within if frame.f_code.co_filename == self._place.file else None

    def _within(self, frame: FrameType, event: str, _argument: object) -> _Tracer:
        is_there = event == "line" and frame.f_lineno == self._place.line
        if not is_there or self._counter.branch() != self._place.branch:
            return self._within
        self._hits += 1
        return self._within if self._hits != self._place.hit else Terminal().take_line(frame, self._where)


def stop_in_main() -> None:
    """Stop at the first line of the program that this process is about to run."""
    sys.settrace(_waiting(lambda frame: frame.f_globals.get("__name__") == "__main__", "the first line"))


def _waiting(starts: Callable[[FrameType], bool], where: str) -> _Tracer:
    """Give a tracer that only looks at what is called, until a function is the one."""

    def tracer(frame: FrameType, _event: str, _argument: object) -> _Tracer | None:
        return Terminal().take(frame, where) if starts(frame) else None

    return tracer


def _streams() -> tuple[IO[str] | None, IO[str] | None]:
    """Give the terminal where the process has lost it, as a worker that multiprocessing has started; else nothing."""
    try:
        lost = os.fstat(sys.stdin.fileno()).st_rdev == _TERMINAL.with_name("null").stat().st_rdev
    except (AttributeError, OSError, ValueError):
        lost = True
    if not lost:
        return None, None
    try:
        return _TERMINAL.open(encoding="utf-8"), _TERMINAL.open("w", encoding="utf-8")
    except OSError:  # nobody has one
        return None, None
