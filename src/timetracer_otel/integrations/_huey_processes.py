"""Huey's consumer with workers that are processes: where one of them is killed, the consumer ends its task's lane."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.entry.running import Running
from timetracer_otel.families.kinds.task import Task
from timetracer_otel.families.messaging import under_way
from timetracer_otel.families.messaging.under_way import UnderWay
from timetracer_otel.seams import Patch, faults

__all__ = ["NAME", "PATCHES", "running"]

NAME: Final = "huey"
_UNDER_WAY: Final = "_timetracer_under_way"
"""Where a process of a consumer's has what it is at."""


@contextmanager
def running(entry: Task) -> Iterator[None]:
    """Give a block for an execution, of which the consumer knows where this is one of its processes.

    Args:
        entry: about to begin.
    """
    bequest = under_way.begin(entry)
    try:
        with Running(entry, bequest=bequest):
            yield
    finally:
        under_way.end(bequest)


def _created(original: Any) -> Any:
    """Around ``ProcessEnvironment.create_process(runnable, name)``: such a process may be killed."""

    def create_process(self: Any, runnable: Callable[[], Any], name: str) -> Any:
        shared = None if seams.is_off(NAME) else faults.guarded("huey.process", UnderWay)
        if shared is None:
            return original(self, runnable, name)

        def run() -> Any:
            shared.join()
            return runnable()

        process = original(self, run, name)
        process.__dict__[_UNDER_WAY] = shared
        return process

    return create_process


def _looked_after(original: Any) -> Any:
    """Around ``Consumer.check_worker_health()``, which replaces workers that have died."""

    def check_worker_health(self: Any) -> Any:
        _end_left(self)
        return original(self)

    return check_worker_health


def _run(original: Any) -> Any:
    """Around ``Consumer.run()``, at whose end no worker is replaced any more."""

    def run(self: Any) -> Any:
        try:
            return original(self)
        finally:
            _end_left(self)

    return run


def _end_left(consumer: Any) -> None:
    for _, process in getattr(consumer, "worker_threads", ()):
        shared = getattr(process, "__dict__", {}).get(_UNDER_WAY)
        if shared is not None and not process.is_alive():
            shared.end_left()


PATCHES: Final = (
    Patch("huey.consumer", "Consumer.run", maker=_run),
    Patch("huey.consumer", "Consumer.check_worker_health", maker=_looked_after),
    Patch("huey.consumer", "ProcessEnvironment.create_process", maker=_created),
)
