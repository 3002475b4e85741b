"""The span processor that gives every span to its lane."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanKind

from timetracer_otel import spans
from timetracer_otel.exporters.recorder import TRACER_NAME, Recorder, RecordingLane
from timetracer_otel.exporters.session import SessionLane
from timetracer_otel.seams import Call, current_lane, faults, mark, pending

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

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        try:
            self._start(span, parent_context)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("processor.on_start", error)

    def _start(self, span: Span, parent_context: Context | None) -> None:
        recorder = self._recorder
        lane = current_lane(recorder, parent_context)
        mark(span, lane)
        call = None
        if span.kind in _CALLS:
            call = Call(span, lane)
            pending.set(call)
        elif span.kind in _ENTRIES and isinstance(lane, RecordingLane) and lane.entry is None:
            lane.entry = span
        if recorder.settings.files:
            recorder.open[span.get_span_context().span_id] = (lane, call)
        if recorder.settings.span_payloads:
            identity = {spans.LANE_ID: lane.id, spans.SESSION_ID: recorder.session().id, spans.SCHEMA: spans.SCHEMA_VERSION}
            span.set_attributes(cast("dict[str, str]", identity))

    def on_end(self, span: ReadableSpan) -> None:
        try:
            self._end(span)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("processor.on_end", error)

    def _end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        lane, call = self._recorder.open.pop(context.span_id if context else 0, (None, None))
        scope = span.instrumentation_scope
        if scope is not None and scope.name == TRACER_NAME and call is None:
            return
        if isinstance(lane, RecordingLane | SessionLane):
            lane.add(span, call)

    def shutdown(self) -> None:
        self.force_flush()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._recorder.sink.drain(timeout_millis / 1000)
