"""How long this process stood still: neither running, nor kept from it by other work of the machine."""

# ruff: noqa: PTH208 - this is about microseconds

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Final

__all__ = ["awake"]

_TASKS: Final = "/proc/self/task"


def awake() -> float:
    """Give the seconds that the threads of this process have run, or waited for a processor.

    What is missing between two calls, against the clock, was spent waiting for something else: a disk, a peer. Waiting
    for the interpreter's lock is none of that, because the thread that has it runs, or waits for a processor.

    Source: Linux, Documentation/scheduler/sched-stats.rst, "/proc/<pid>/schedstat". Where that is missing, waiting for
    a processor counts as standing still.
    """
    waited = 0
    with suppress(OSError):
        for task in os.listdir(_TASKS):
            waited += _waited(task)
    return time.process_time() + waited / 1e9


def _waited(task: str) -> int:
    """Nanoseconds that a thread has waited for a processor; 0 when it has just ended."""
    try:
        with open(f"{_TASKS}/{task}/schedstat", "rb", buffering=0) as file:  # noqa: PTH123 - as above
            return int(file.read(100).split()[1])
    except (OSError, IndexError, ValueError):
        return 0
