"""Where encoded lanes go: small ones are written at once, large ones, and all on a slow disk, by one thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Final

from timetracer_otel.errors import CassetteError
from timetracer_otel.exporters.writing.disk_speed import DOUBT_SECONDS, Slowness, control
from timetracer_otel.exporters.writing.losses import DISK, FAULT, MEMORY, Tally
from timetracer_otel.exporters.writing.memory import Memory
from timetracer_otel.seams import faults, forks

__all__ = ["INLINE_BYTES", "Sink"]

INLINE_BYTES: Final = 64 * 1024
"""Up to here, writing at once costs the caller about what queueing would."""
SOON_SECONDS: Final = 0.05
"""How often, at most, what only the last one counts of is written by those who ask for it."""
LATER_SECONDS: Final = 0.25
"""How soon the thread does it when nobody asks again. Each time that it wakes, the app waits for the GIL."""
PACED_BYTES: Final = 2 * 1024 * 1024
"""Above this much waiting, who adds a piece of a large payload waits for the writer: memory stays as it is."""
PACE_SECONDS: Final = 1.0
PACE_LOOP_SECONDS: Final = 0.01
"""How long, at most; on an event loop others wait too."""
HELP_SECONDS: Final = 0.03
"""A write that waits longer is done by the next caller: in a busy process the thread gets too little of the lock."""
HELP_BYTES: Final = 2 * 1024 * 1024
"""Unless it is larger: the caller may be an event loop."""
OVERHEAD: Final = 1024
"""Bytes that a waiting write takes beside its payload, about."""

_clock = time.monotonic


@dataclass(slots=True)
class _Task:
    key: str
    size: int
    write: Callable[[], None]
    is_lane: bool
    since: float


@dataclass(slots=True)
class _Timer:
    seconds: float
    due: float
    run: Callable[[], None]


class Sink:
    """Runs writes in order per key; at once when they are small, nothing of that key waits and the disk is not slow.

    Args:
        memory: bounds what waits; what comes on top is dropped whole and counted.
        tally: counts it.
    """

    def __init__(self, memory: Memory, tally: Tally) -> None:
        self.memory = memory
        self.tally = tally
        self._timers: list[_Timer] = []
        self._ended = False
        self._reset()
        forks.after_in_child(self._reset)

    def _reset(self) -> None:
        self._work: deque[_Task] = deque()
        self._waiting: dict[str, int] = {}
        self._running: set[str] = set()
        self._soon: deque[Callable[[], None]] = deque(maxlen=1)
        self._soon_due = 0.0
        self._soon_next = 0.0
        self._wakes = 0.0
        self._bytes = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._slowness = Slowness()

    @property
    def slow(self) -> bool:
        """Whether the disk is slow."""
        return self._slowness.slow

    def submit(self, key: str, size: int, write: Callable[[], None], *, is_lane: bool = False) -> bool:
        """Run a write now or soon.

        Args:
            key: writes of one key keep their order.
            size: bytes that the write holds on to.
            write: does it. A CassetteError is counted, any other error is a fault of ours, reported and swallowed.
            is_lane: whether it is a whole lane, for the counts.

        Returns:
            False when it was dropped because the memory is used up.
        """
        if size <= INLINE_BYTES and not self._slowness.slow and not self._waiting.get(key):
            self._run_inline(write, is_lane)
            if self._work:
                self._help()
            return True
        task = _Task(key, size + OVERHEAD, write, is_lane, _clock())
        if not self.memory.take(task.size):
            self.tally.drop(MEMORY, f"{self.memory.used} bytes are held", is_lane=is_lane)
            return False
        with self._changed:
            self._work.append(task)
            self._waiting[key] = self._waiting.get(key, 0) + 1
            self._bytes += task.size
            self._changed.notify_all()
        self._start()
        self._help()
        return True

    def pace(self) -> None:
        """Let a caller that produces faster than the writer writes wait a little."""
        if self._bytes > PACED_BYTES:
            seconds = PACE_SECONDS if asyncio._get_running_loop() is None else PACE_LOOP_SECONDS  # noqa: SLF001 - public in C only, and never raises
            with self._changed:
                self._changed.wait_for(lambda: self._bytes <= PACED_BYTES, seconds)

    def soon(self, write: Callable[[], None]) -> None:
        """Run a write now, or later when one has just been run; a later one takes its place.

        Args:
            write: does it.
        """
        now = _clock()
        if now >= self._soon_next and not self._slowness.slow:
            self._soon_next = now + SOON_SECONDS
            self._soon.clear()
            self._run_one_soon(write)
            return
        if not self._soon:
            self._soon_due = now + LATER_SECONDS
        self._soon.append(write)
        if self._thread is None or self._wakes > self._soon_due:
            with self._changed:
                self._wakes = self._soon_due
                self._changed.notify_all()
            self._start()

    def every(self, seconds: float, run: Callable[[], None]) -> None:
        """Run something by the thread at intervals, as soon as there is a thread.

        Args:
            seconds: between two runs.
            run: does it.
        """
        self._timers.append(_Timer(seconds, _clock() + seconds, run))

    def drain(self, timeout: float) -> bool:
        """Wait until everything queued is written.

        Args:
            timeout: seconds.

        Returns:
            Whether all was written in time.
        """
        with self._changed:
            done = self._changed.wait_for(lambda: not self._waiting, timeout)
        self._run_soon()
        return done

    def settle(self, key: str, timeout: float) -> None:
        """Wait until everything of a key is written, unless the disk is slow.

        Args:
            key: as it was submitted.
            timeout: seconds.
        """
        if self._waiting.get(key):
            with self._changed:
                self._changed.wait_for(lambda: key not in self._waiting or self._slowness.slow, timeout)

    def end(self) -> None:
        """Let the thread end, if there is one: nothing will be written any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _run_inline(self, write: Callable[[], None], is_lane: bool) -> None:  # noqa: FBT001 - internal half of submit()
        begun = _clock()
        self._run(write, is_lane)
        self._judge(_clock() - begun)

    def _judge(self, took: float) -> None:
        """Look at how many seconds a write took."""
        slowness = self._slowness
        if not slowness.doubted and not slowness.slow:
            if took > DOUBT_SECONDS:
                slowness.doubt()
        elif slowness.compared(took, control()):
            self.tally.slow(took)

    def _start(self) -> None:
        """Start the thread, without the lock: a greenlet lets others run here, and all of them may pass a lock of C."""
        with self._changed:
            if self._thread is not None:
                return
            thread = self._thread = threading.Thread(target=self._write_all, name="timetracer-writer", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no memory for its stack: the callers write meanwhile, and the next one tries
            self._thread = None

    def _help(self) -> None:
        """Do the oldest write, when it has waited too long and the disk is not the reason."""
        with self._changed:
            oldest = self._work[0] if self._work and not self._slowness.slow else None
            if oldest is None or oldest.size > HELP_BYTES or _clock() - oldest.since < HELP_SECONDS:
                return
            task = self._take()
        if task is not None:
            self._do(task)

    def _take(self) -> _Task | None:
        """Take the oldest write, unless another one of its key is being done."""
        if not self._work or self._work[0].key in self._running:
            return None
        task = self._work.popleft()
        self._running.add(task.key)
        return task

    def _do(self, task: _Task) -> None:
        begun = _clock()
        try:
            self._run(task.write, task.is_lane)
        finally:
            ended = _clock()
            with self._changed:
                self._finish(task)
                self._changed.notify_all()
            self.memory.take(-task.size)
            if task.is_lane:
                self.tally.written(ended - task.since)
            self._judge(ended - begun)

    def _finish(self, task: _Task) -> None:
        self._running.discard(task.key)
        self._bytes -= task.size
        self._waiting[task.key] -= 1
        if not self._waiting[task.key]:
            del self._waiting[task.key]

    def _run(self, write: Callable[[], None], is_lane: bool) -> None:  # noqa: FBT001 - internal half of submit()
        try:
            write()
        except CassetteError as error:
            self.tally.drop(DISK, error, is_lane=is_lane)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            self.tally.drop(FAULT, error, is_lane=is_lane)
            faults.report("sink.write", error)
        else:
            if self.tally.failing:
                self.tally.works()

    def _run_soon(self) -> None:
        with suppress(IndexError):  # nothing is left: it may be another thread that took the last
            while True:
                self._run_one_soon(self._soon.pop())

    def _run_one_soon(self, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            if not self.tally.failing:  # else it is said already that nothing can be written
                faults.report("sink.soon", error)

    def _write_all(self) -> None:
        while not self._ended:
            with self._changed:
                self._changed.wait_for(self._has_turn, self._pause())
                task = self._take()
            if task is not None:
                self._do(task)
            if self._soon and _clock() >= self._soon_due:
                self._run_soon()
            for timer in self._timers:
                if _clock() >= timer.due:
                    self._run_timer(timer)

    def _has_turn(self) -> bool:
        return self._ended or (bool(self._work) and self._work[0].key not in self._running)

    def _pause(self) -> float | None:
        """Seconds until something other than a queued write is to be done; None for ever."""
        due = [timer.due for timer in self._timers]
        if self._soon:
            due.append(self._soon_due)
        self._wakes = min(due, default=inf)
        return max(0.0, self._wakes - _clock()) if due else None

    @staticmethod
    def _run_timer(timer: _Timer) -> None:
        try:
            timer.run()
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("sink.timer", error)
        timer.due = _clock() + timer.seconds
