"""A function that runs as an entry of its own, for a ``with`` block around it, in plain and in async code."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, Self

from timetracer_otel import seams
from timetracer_otel.errors import ReplayMiss
from timetracer_otel.families.kinds.execution import Outcome
from timetracer_otel.seams import Bequest, Entry, Lane, faults
from timetracer_otel.seams.lanes import Entered, entering

__all__ = ["Plugged", "Running", "Runs", "opened"]


class Plugged(Entry, Protocol):
    """An entry that knows the integration that recorded it."""

    plugin: str


class Runs(Plugged, Protocol):
    """An entry of which a value or an exception comes."""

    outcome: Outcome | None


class Running:
    """One run. Inside another entry it is none of its own: it belongs to that.

    Args:
        entry: about to run.
        lane: that was opened for it; None to open one.
        bequest: where one process goes on with it when another is killed.
    """

    def __init__(self, entry: Runs, lane: Lane | None = None, bequest: Bequest | None = None) -> None:
        self.entry = entry
        self._lane = lane if lane is not None else opened(entry, bequest)
        self._entered: Entered | None = None

    def __enter__(self) -> Self:
        if self._lane is not None:
            self._entered = self._lane.entered()
            self._entered.__enter__()
        return self

    def returned(self, value: Any) -> None:
        """Take what the function gave.

        Args:
            value: as it is.
        """
        if self._lane is not None:
            try:
                self.entry.outcome = Outcome.succeeded(value)
            except Exception as error:  # noqa: BLE001 - a value of any class, and recording never breaks the app
                faults.report(f"{self.entry.plugin}.value", error)

    def __exit__(self, kind: object, error: BaseException | None, frames: TracebackType | None) -> None:
        if self._lane is None or self._entered is None:
            return
        self._entered.__exit__(kind, error, frames)
        try:
            outcome = self.entry.outcome
            if outcome is not None and isinstance(outcome.error, ReplayMiss):  # whoever ran it has swallowed that
                error, self.entry.outcome = outcome.error, None
            if error is None and self.entry.outcome is None:
                self.entry.outcome = Outcome.succeeded(None)
            elif error is not None and not isinstance(error, ReplayMiss):
                self.entry.outcome = Outcome.failed(error)
            self._lane.end_code()
            self._lane.finish(error)
            self._lane.settle()
        except Exception as fault:  # noqa: BLE001 - recording never breaks the app
            faults.report(f"{self.entry.plugin}.close", fault)


def opened(entry: Plugged, bequest: Bequest | None = None) -> Lane | None:
    """Open a lane for an entry; None inside another one, where nothing is installed, and after a fault of ours.

    Args:
        entry: about to begin.
        bequest: where one process goes on with it when another is killed.
    """
    runtime = seams.active()
    if runtime is None or entry.plugin in seams.switched_off or entering() is not None:
        return None
    try:
        return runtime.open_lane(entry, bequest)
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report(f"{entry.plugin}.open", error)
        return None
