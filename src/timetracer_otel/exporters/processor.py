"""The span processor that sees every span, and the sampler that lets it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind

from timetracer_otel import spans
from timetracer_otel.exporters.recorder import TRACER_NAME, Recorder, RecordingLane
from timetracer_otel.exporters.session import SessionLane
from timetracer_otel.seams import Call, current_lane, faults, mark, pending

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Link, TraceState
    from opentelemetry.util.types import Attributes

__all__ = ["LaneProcessor", "attach"]

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


class RecordAll(Sampler):
    """Turns the host sampler's DROP into RECORD_ONLY: our processor sees the span, no exporter of the host does.

    Args:
        sampler: the host's.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def should_sample(  # noqa: PLR0913 - the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        result = self._sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        if result.decision is not Decision.DROP:
            return result
        return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)

    def get_description(self) -> str:
        return self._sampler.get_description()


def attach(recorder: Recorder, provider: TracerProvider) -> Callable[[], None]:
    """Add the processor to the host's provider, and let dropped spans reach it when files are written.

    Args:
        recorder: the runtime.
        provider: the host's; its exporters get what they got before.

    Returns:
        What takes the processor away again.
    """
    processor, sampler = LaneProcessor(recorder), provider.sampler
    provider.add_span_processor(processor)
    if recorder.settings.files:
        _sample_by(provider, RecordAll(sampler))

    def detach() -> None:
        _sample_by(provider, sampler)
        processors = provider._active_span_processor  # noqa: SLF001 - the SDK can only add
        kept = tuple(one for one in processors._span_processors if one is not processor)  # noqa: SLF001 - as above
        processors._span_processors = kept  # noqa: SLF001 - as above

    return detach


def _sample_by(provider: TracerProvider, sampler: Sampler) -> None:
    provider.sampler = sampler
    # Tracers that exist already hold the sampler of their time.
    for tracer in getattr(provider, "_tracers", {}).values():
        tracer.sampler = sampler
