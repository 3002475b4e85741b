"""Where encoded lanes go: small ones are written at once, large ones by one thread within a byte budget."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter, deque
from collections.abc import Callable

from timetracer_otel.seams import faults

__all__ = ["Sink"]

INLINE_BYTES = 64 * 1024
"""Up to here, writing at once costs the caller about what queueing would."""
SOON_SECONDS = 0.05
PACED_BYTES = 2 * 1024 * 1024
"""Above this much waiting, who adds a piece of a large payload waits for the writer: memory stays as it is."""
PACE_SECONDS = 1.0
PACE_LOOP_SECONDS = 0.01
"""How long, at most; on an event loop others wait too."""


class Sink:
    """Runs writes in order per file; at once when they are small and nothing of that file is waiting.

    Args:
        budget: bytes of payload that may wait; what comes on top is dropped whole and counted.
    """

    def __init__(self, budget: int = 256 * 1024 * 1024) -> None:
        self._budget = budget
        self.dropped = 0
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._work: deque[tuple[str, int, Callable[[], None]]] = deque()
        self._waiting: Counter[str] = Counter()
        self._soon: dict[str, Callable[[], None]] = {}
        self._bytes = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def submit(self, key: str, size: int, write: Callable[[], None]) -> bool:
        """Run a write now or soon.

        Args:
            key: writes of one key keep their order.
            size: payload bytes that the write holds on to.
            write: does it; its errors are faults of ours, reported and swallowed.

        Returns:
            False when it was dropped because the budget is used up.
        """
        if size <= INLINE_BYTES and not self._waiting[key]:
            _run(write)
            return True
        with self._changed:
            if self._bytes + size > self._budget and self._work:
                self.dropped += 1
                return False
            self._work.append((key, size, write))
            self._waiting[key] += 1
            self._bytes += size
            self._start()
            self._changed.notify_all()
        return True

    def pace(self) -> None:
        """Let a caller that produces faster than the writer writes wait a little."""
        if self._bytes > PACED_BYTES:
            seconds = PACE_SECONDS if asyncio._get_running_loop() is None else PACE_LOOP_SECONDS  # noqa: SLF001 - public in C only, and never raises
            with self._changed:
                self._changed.wait_for(lambda: self._bytes <= PACED_BYTES, seconds)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="timetracer-writer", daemon=True)
            self._thread.start()

    def soon(self, key: str, write: Callable[[], None]) -> None:
        """Run a write by the thread within :data:`SOON_SECONDS`; a later one of the same key takes its place.

        Args:
            key: names what is written.
            write: does it.
        """
        waiting = key in self._soon
        self._soon[key] = write
        if not waiting:
            with self._changed:
                self._start()
                self._changed.notify_all()

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

    def _run_soon(self) -> None:
        while self._soon:
            _run(self._soon.popitem()[1])

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._work or self._soon)
                self._changed.wait_for(lambda: self._work, SOON_SECONDS)
                task = self._work.popleft() if self._work else None
            self._run_soon()
            if task is None:
                continue
            key, size, write = task
            _run(write)
            with self._changed:
                self._bytes -= size
                self._waiting[key] -= 1
                if not self._waiting[key]:
                    del self._waiting[key]
                self._changed.notify_all()


def _run(write: Callable[[], None]) -> None:
    try:
        write()
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("sink.write", error)
