"""How far the long streams of a recorded lane were told in a replay: the most of them is in a file, and in order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from timetracer_otel import spans
from timetracer_otel.cassette.model import Followers, Span
from timetracer_otel.replay.answering.recorded_calls import Recorded, Unheld

__all__ = ["Told"]


class Told:
    """Counts what was told, since each stream is told in order.

    Args:
        unheld: the calls that are left in a file.
    """

    def __init__(self, unheld: Unheld) -> None:
        self._unheld = unheld
        self._counts = dict.fromkeys(unheld.streams, 0)

    def take(self, call: Span) -> bool:
        """Count a call, and all that came before it in its stream; whether it is one of these.

        Args:
            call: that was told.
        """
        opener = call.text(spans.FOLLOWS) if self._counts else None
        if opener is None or opener not in self._counts:
            return False
        starts = self._unheld.streams[opener].starts
        number = bisect_left(starts, call.start)
        if number == len(starts) or starts[number] != call.start:
            return False
        self._counts[opener] = max(self._counts[opener], number + 1)
        return True

    def next(self, before: float) -> Recorded | None:
        """The first that was not told, if it began before a time.

        Args:
            before: nanoseconds since the epoch.
        """
        first: Followers | None = None
        for opener, told in self._counts.items():
            stream = self._unheld.streams[opener]
            if told < len(stream.starts) and stream.starts[told] < before:
                first, number, before = stream, told, stream.starts[told]
        return None if first is None else next(self._unheld.described([first[number]]), None)

    def rest(self) -> Iterator[Recorded]:
        """Those that were not told, in order of start."""
        return self._unheld.behind(self._counts)
