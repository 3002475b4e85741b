"""What the other lanes of a recording read: one may answer for them, and a process keeps what one of them was told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain

from timetracer_otel import spans
from timetracer_otel.cassette import shelf
from timetracer_otel.cassette.model import Span
from timetracer_otel.replay.answering import described_calls
from timetracer_otel.replay.answering.borrowing import Lending, Seen
from timetracer_otel.replay.answering.recorded_calls import Recorded

__all__ = ["ReadsOfAll"]


class ReadsOfAll:
    """The reads of all lanes of a recording, and which of them this process has asked.

    Args:
        cassette: the recording.
        session_calls: the calls of its processes outside of lanes.

    Attributes:
        asked_by: by the ids of recorded calls that were asked, the live lane that was the first to ask.
    """

    def __init__(self, cassette: shelf.Shelf, session_calls: Sequence[Span]) -> None:
        self._cassette = cassette
        self._session_calls = session_calls
        self.asked_by: dict[str, str] = {}

    def is_kept(self, call: Recorded, lane_id: str) -> bool:
        """Whether what a lane does not ask any more may be known to this process from another lane.

        So it is where the recorded call was its process's first of the kind: each of several processes asked once, and
        which requests one process gets is chance.

        Args:
            call: that was recorded of the lane, and not asked for.
            lane_id: the live lane's.
        """
        if not call.description.read:
            return False
        others = self.lending.beside_first(call.span.span_id, call.description)
        return any(self.asked_by.get(one.span, lane_id) != lane_id for one in others)

    @cached_property
    def lending(self) -> Lending:
        """What the lanes may lend one another; built when one asks what only another has."""
        return Lending(self._seen())

    def _seen(self) -> Iterator[Seen]:
        lanes = ((True, lane.calls, lane.entry) for lane in self._cassette.lanes)
        for lends, calls, entry in chain([(False, self._session_calls, None)], lanes):
            lasted = (0, 0) if entry is None else (entry.start, entry.over)
            for span, description in described_calls.descriptions(calls):
                failed = spans.ERROR in span.attributes
                answer = b"" if failed or not description.read else described_calls.answer(span)
                place = span.lane_id, span.span_id, description, span.start, span.end
                yield Seen(*place, answer, lends, span.session_id or "", lasted)
