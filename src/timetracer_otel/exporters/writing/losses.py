"""Counts what a process did not record or wrote late, says it in few log lines, and leaves it in the session's file."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

from timetracer_otel import spans
from timetracer_otel.seams import forks

__all__ = ["DISK", "FAULT", "MEMORY", "PRESSURE", "Tally"]

_log = logging.getLogger("timetracer_otel")

DISK = "disk"
"""A write failed."""
MEMORY = "memory"
"""``TIMETRACER_MAX_MEMORY`` was used up."""
PRESSURE = "pressure"
"""Near a limit, a share of the lanes is given up so that the others, and those with errors, stay."""
FAULT = "fault"
"""A fault of ours."""

LATE_SECONDS = 0.1
"""A lane that is written later than this after its end is counted as late."""
SAY_SECONDS = 60.0
"""Between two log lines about the same thing."""


class Tally:
    """Counts of one process. A forked child begins with none.

    Attributes:
        dropped: reason -> lanes that are in no cassette.
        pieces: reason -> spans that are missing behind a lane that was written, or in the session.
        late: lanes written more than :data:`LATE_SECONDS` after their end.
        latest: the longest delay, in seconds.
        failing: how many writes failed since the last one that did not.
    """

    def __init__(self) -> None:
        self._reset()
        forks.after_in_child(self._reset)

    def _reset(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.pieces: Counter[str] = Counter()
        self.late = 0
        self.latest = 0.0
        self._said: dict[str, float] = {}
        self._told: Counter[str] = Counter()
        self._details: dict[str, str] = {}
        self.failing = 0
        self._lock = threading.Lock()

    def drop(self, reason: str, detail: object, *, is_lane: bool = True) -> None:
        """Count a lane that is given up, or a span of one.

        Args:
            reason: one of the words of this module.
            detail: what happened, for the log.
            is_lane: whether it is a whole lane.
        """
        with self._lock:
            (self.dropped if is_lane else self.pieces)[reason] += 1
            self.failing += reason == DISK
            self._details[reason] = str(detail)  # an exception would hold on to its lane
        self._say(reason)

    def remind(self) -> None:
        """Say what was dropped since the last log line about it, when a minute has passed."""
        for reason in list(self._details):
            if self.dropped[reason] + self.pieces[reason] > self._told[reason]:
                self._say(reason)

    def _say(self, reason: str) -> None:
        if self._may_say(reason):
            count, self._told[reason] = self._told[reason], self.dropped[reason] + self.pieces[reason]
            _log.warning(
                "timetracer gave up %d recording(s), reason %s: %s. The app is not affected; said once a minute",
                self._told[reason] - count,
                reason,
                self._details[reason],
            )

    def _may_say(self, about: str) -> bool:
        """Whether nothing was said about it in the last minute; then it counts as said."""
        now = time.monotonic()
        with self._lock:
            if now - self._said.get(about, -SAY_SECONDS) < SAY_SECONDS:
                return False
            self._said[about] = now
            return True

    def works(self) -> None:
        """Note that a write succeeded; after failures this is said once."""
        with self._lock:
            count, self.failing = self.failing, 0
        if count and self._may_say("works"):
            _log.warning("timetracer records again, after %d recording(s) could not be written", count)

    def written(self, delay: float) -> None:
        """Note how long after its end a lane was written.

        Args:
            delay: seconds.
        """
        if delay > LATE_SECONDS:
            with self._lock:
                self.late += 1
                self.latest = max(self.latest, delay)

    def slow(self, seconds: float) -> None:
        """Say that the disk is slow, once a minute.

        Args:
            seconds: that a write took.
        """
        if self._may_say("slow"):
            _log.warning(
                "timetracer writes behind the requests from now on: a write took %.0f ms, the disk is slow",
                seconds * 1000,
            )

    def attributes(self) -> dict[str, spans.Attribute]:
        """The counts as span attributes; empty when nothing was lost and nothing late."""
        attributes: dict[str, spans.Attribute] = {}
        if self.dropped:
            attributes[spans.DROPPED_LANES] = self.dropped.total()
        if self.pieces:
            attributes[spans.DROPPED_SPANS] = self.pieces.total()
        if reasons := self.dropped + self.pieces:
            attributes[spans.DROPPED_REASON] = [f"{reason}={count}" for reason, count in sorted(reasons.items())]
        if self.late:
            attributes |= {spans.LATE_LANES: self.late, spans.LATE_MAX: round(self.latest * 1000)}
        return attributes
