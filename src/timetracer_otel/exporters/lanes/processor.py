"""The span processor that gives every span to its lane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanKind

from timetracer_otel import spans
from timetracer_otel.exporters.lanes.recorded_lane import RecordedLane
from timetracer_otel.exporters.lanes.recorder import Recorder
from timetracer_otel.exporters.lanes.recording_lane import RecordingLane
from timetracer_otel.seams import Call, branches, faults, lane_of, mark, pending
from timetracer_otel.seams.brokering import is_brokering
from timetracer_otel.seams.calls import CARRIED
from timetracer_otel.seams.lanes import process

if TYPE_CHECKING:
    from opentelemetry.context import Context

__all__ = ["LaneProcessor"]

_CALLS = (SpanKind.CLIENT, SpanKind.PRODUCER)
_ENTRIES = (SpanKind.SERVER, SpanKind.CONSUMER)


class LaneProcessor(SpanProcessor):
    """Gives each span to its lane.

    Args:
        recorder: the runtime of mode record.
    """

    hears_lean_spans = True

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._open = recorder.open
        self._files = recorder.settings.files
        self._span_payloads = recorder.settings.span_payloads

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Give a span to its lane, and a call to the seam that looks for it."""
        # The hottest code of a recording: one level of calls, and nothing looked up twice.
        try:
            lane = lane_of(parent_context) or self._recorder.session()
            mark(span, lane)
            call = None
            kind = span.kind
            if kind in _CALLS:
                if is_brokering():  # an instrumentor's, of what keeps the queue
                    return
                call = Call(span, lane, on_span=self._span_payloads)
                if trail := branches.trail(lane):
                    call.attributes[spans.BRANCH] = trail
                setattr(span, CARRIED, call)
                pending.set(call)
            elif (
                kind in _ENTRIES
                and isinstance(lane, RecordingLane)
                and lane.entry_span is None
                and lane is not process.enclosing  # a request within a test is a part of it
            ):
                lane.entry_span = span
            if self._files:
                self._open[span.get_span_context().span_id] = (lane, call)
            if self._span_payloads:
                identity = {spans.LANE_ID: lane.id, spans.SESSION_ID: self._recorder.session().id}
                span.set_attributes({**identity, spans.SCHEMA: spans.SCHEMA_VERSION})
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("processor.on_start", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Hand an ended span to its lane."""
        try:
            context = span.get_span_context()
            known = self._open.pop(context.span_id if context else 0, None)
            if known is None:
                return
            lane, call = known
            scope = span.instrumentation_scope
            if call is None and scope is not None and scope.name == spans.TRACER_NAME:
                return
            if isinstance(lane, RecordedLane):
                lane.add(span, call)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("processor.on_end", error)

    def shutdown(self) -> None:
        """Write what waits."""
        self.force_flush()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Write what waits; whether it was done in time."""
        return self._recorder.sink.drain(timeout_millis / 1000)
