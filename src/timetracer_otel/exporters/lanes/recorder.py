"""Recording: the runtime of mode record, which opens lanes and knows the lane of every open span."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.trace import SpanKind, Tracer

from timetracer_otel import seams, spans
from timetracer_otel.cassette import kinds
from timetracer_otel.config import Settings
from timetracer_otel.exporters.lanes import lean_span
from timetracer_otel.exporters.lanes.output import Output
from timetracer_otel.exporters.lanes.recording_lane import RecordingLane
from timetracer_otel.exporters.lanes.selection import Selection
from timetracer_otel.exporters.lanes.session import SessionLane
from timetracer_otel.exporters.writing.retention import PASS_SECONDS
from timetracer_otel.seams import Bequest, Call, Entry, Lane, children, forks, streams
from timetracer_otel.seams.calls import CARRIED
from timetracer_otel.seams.streams import Passed

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["Recorder"]

COUNTS_SECONDS = 1.0
"""How often counts that have changed go to the session's file."""
EXIT_SECONDS = 30.0
"""How long the end of a process may wait for what is not written yet."""
MANY_OPEN = 10_000
UNENDED_NS = 3600 * 10**9
"""Above MANY_OPEN open spans, drop those whose lane began so long ago and is written."""
STOP_SECONDS = 10.0
"""How long a server that stops may be kept by what is not written yet."""
SETTLE_NS = 500 * 10**6
"""How long a signal that ends the process may be put off by entries which are not over."""
POLL_SECONDS = 0.01
_now, _sleep = time.time_ns, time.sleep


class Recorder(Output):
    """The runtime of mode record.

    Args:
        settings: the settings in force.
        provider: the host's tracer provider, which stays as it is.
    """

    strips_lane_header = False
    answers = False

    def __init__(self, settings: Settings, provider: TracerProvider) -> None:
        super().__init__(settings, provider)
        self.selection = Selection(settings)
        if settings.files:
            self.sink.every(PASS_SECONDS, self._keep_house)
            self.sink.every(COUNTS_SECONDS, lambda: self.session().note_counts())
        self.open: dict[int, tuple[Lane, Call | None]] = {}
        self.unwatch: Callable[[], None] = lambda: None  # ends the watching of the standard streams
        self._ends_children = False
        self._session = SessionLane(self, children.parent(), children.place())
        forks.after_in_child(self._after_fork)

    def _after_fork(self) -> None:
        if seams.active() is not self:  # it was uninstalled, and what is called at a fork cannot be taken back
            return
        self.open.clear()
        self.forget_parent()
        self._session = self._session.forked()
        if not self._ends_children:
            self._ends_children = children.at_child_end(self, self._end_child)

    def _end_child(self) -> None:
        if seams.active() is self:
            self.end()

    def _keep_house(self) -> None:
        self._session.touch()
        self.retention.start()
        if len(self.open) > MANY_OPEN:
            self._forget_unended()

    def _forget_unended(self) -> None:
        """Forget spans that an app has begun and never ends: they would hold their lanes for ever."""
        oldest = _now() - UNENDED_NS
        for span_id, (lane, _) in list(self.open.items()):
            if isinstance(lane, RecordingLane) and lane.written and lane.start < oldest:
                self.open.pop(span_id, None)

    def end(self) -> None:
        """End what is under way and the session, and write what waits."""
        for call in [call for _, call in list(self.open.values()) if call is not None]:
            call.abandon()
        self._session.end()
        self.sink.drain(EXIT_SECONDS)

    def stop(self) -> None:
        """Write what waits: the server is about to end, perhaps by a signal that no exit handler sees."""
        self._session.note_counts()
        self.sink.drain(STOP_SECONDS)

    def settle(self) -> None:
        """Write what waits before a signal ends the process: first entries end whose responses may be out already."""
        until = _now() + SETTLE_NS
        while _now() < until and any(isinstance(lane, RecordingLane) for lane, _ in list(self.open.values())):
            _sleep(POLL_SECONDS)
        self.stop()

    def watch_streams(self) -> None:
        """Take what the program reads and prints, until it turns out to be a server."""
        self._session.passed = passed = Passed()

        def took(name: str, data: bytes) -> None:
            self._session.took(name, data)  # a forked child's session is another one

        self.unwatch = streams.watch(took, passed.reader)

    def _end_watching(self) -> None:
        """A process that serves requests is no script: what it prints is not part of what is compared."""
        if self._session.passed is not None:
            self._session.passed = None
            self.unwatch()

    def session(self) -> SessionLane:
        """The session of this process."""
        return self._session

    def responder(self, plugin: str) -> None:
        """What answers the calls of an integration; None when they go out."""
        return

    def wants_whole(self, entry: Entry) -> bool:
        """Whether the entry's seam must read it to its end before it opens the lane."""
        return False

    def open_lane(self, entry: Entry, bequest: Bequest | None = None) -> Lane | None:
        """Begin an entry."""
        if self.selection.excludes(entry):
            return None
        if not kinds.is_run_again(entry.kind):
            self._end_watching()
        return RecordingLane(self, self.selection, entry, bequest)

    def begin(
        self, name: str, attributes: Mapping[str, spans.Attribute], kind: SpanKind = SpanKind.CLIENT
    ) -> Call | None:
        """Start a span of our own for a call whose instrumentor is absent or was installed too late."""
        own = dict(attributes)
        tracer = self._tracer
        span = lean_span.started(self.provider, tracer, name, own, kind) or tracer.start_span(
            name, kind=kind, attributes=own
        )
        call: Call | None = getattr(span, CARRIED, None)  # none of a span that is not recorded
        return call

    @cached_property
    def _tracer(self) -> Tracer:
        return self.provider.get_tracer(spans.TRACER_NAME)  # takes longer than the span

    def wrote(self, path: Path, size: int) -> None:
        """Take note that a lane's file is there; what the session has drawn meanwhile is written too."""
        super().wrote(path, size)
        self._session.flush_draws()
