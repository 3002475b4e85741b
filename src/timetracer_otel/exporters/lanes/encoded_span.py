"""A span that has ended, on its way into a cassette."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind

from timetracer_otel import spans
from timetracer_otel.cassette import otlp
from timetracer_otel.exporters.host.secrets import hidden
from timetracer_otel.exporters.writing.sink import INLINE_BYTES
from timetracer_otel.seams import Call, Lane

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Span
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

__all__ = ["Ended", "own_span", "unended"]

_now = time.time_ns
_new_id = os.urandom


@dataclass(slots=True)
class Ended:
    """A span that has ended. Many are encoded at a time, which costs less than each of them between the app's calls.

    Not only at the lane's end: objects kept until then would cost the garbage collector more. Large payloads are not
    encoded in the caller: they wait as they are. So does a call whose payload is on its way.

    Args:
        scope: that made the span.
        encoded: the span's OTLP/JSON; None while ``span`` waits.
        span: kept only for the entry and beside large payloads.
        call: the payloads that wait.
    """

    scope: InstrumentationScope | None
    encoded: bytes | None
    span: ReadableSpan | None = None
    call: Call | None = None

    @classmethod
    def waiting(cls, lane: Lane, span: ReadableSpan, call: Call | None) -> Ended:
        """Take a span to be encoded by :meth:`settle`; at once, where what it holds might change until then."""
        if call is None or call.settle():
            return cls(span.instrumentation_scope, None, span, call)
        return cls.of(lane, span, call)

    @classmethod
    def of(cls, lane: Lane, span: ReadableSpan, call: Call | None) -> Ended:
        """Encode a span with its payloads, or keep them when they are large."""
        if call is not None and _waits(call):
            return cls(span.instrumentation_scope, None, span, call)
        return cls(span.instrumentation_scope, _encode(lane, span, call))

    def fragment(self, lane: Lane) -> bytes:
        """The encoded span."""
        span, call = self.span, self.call  # first: another thread may settle it meanwhile
        if self.encoded is not None:
            return self.encoded
        assert span is not None  # noqa: S101 - one of the two is always there
        if call is not None:
            call.catch_up()
        return _encode(lane, span, call)

    def settle(self, lane: Lane) -> None:
        """Encode it, unless its payloads are large or on their way."""
        span, call = self.span, self.call
        if span is None or self.encoded is not None or (call is not None and _waits(call)):
            return
        self.encoded = _encode(lane, span, call)
        self.span = self.call = None

    def size(self) -> int:
        """Bytes of payload that wait."""
        return self.call.size() if self.call is not None else 0


def _waits(call: Call) -> bool:
    return call.under_way is not None or call.size() > INLINE_BYTES


_LANE = otlp.attributes_json({spans.LANE_ID: "%s"})


def _encode(lane: Lane, span: ReadableSpan, call: Call | None) -> bytes:
    span = hidden(span)
    own = otlp.own_attributes(span)
    if spans.LANE_ID in own:  # as is all else, where payloads are on the spans themselves
        extra = call.written_out() if call is not None else {}
        if call is not None and spans.INCOMPLETE in own:
            extra.setdefault(spans.INCOMPLETE, "")  # of a call that also leaves by an exporter, while it was under way
        return otlp.span_fragment(span, extra)
    pieces = [_LANE % lane.id.encode()]
    if call is not None:
        call.written = True  # first, as in Call.written_out
        if call.attributes:
            pieces.append(otlp.attributes_json(call.attributes))
        for encode, name, payload in call.payloads:
            direct = otlp.direct.get(encode)
            pieces.append(otlp.unlike_json(encode(name, payload)) if direct is None else direct(name, payload))
    return otlp.span_fragment(span, None, b",".join(filter(None, pieces)))  # a body that left in parts has no more


def own_span(  # noqa: PLR0913 - the parts of one span
    name: str,
    trace_id: int,
    resource: Resource,
    times: tuple[int, int],
    parent: SpanContext | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
) -> ReadableSpan:
    """Make a span of our own, which no tracer and no processor of the host sees.

    Args:
        name: the span's.
        trace_id: of the trace that it belongs to.
        resource: of this process.
        times: when it began and when it ended, in nanoseconds since 1970.
        parent: of the span that it completes.
        kind: INTERNAL, or that of an entry.
    """
    context = SpanContext(trace_id, int.from_bytes(_new_id(8), "big"), is_remote=False)
    return ReadableSpan(
        name=name, context=context, parent=parent, resource=resource, kind=kind, start_time=times[0], end_time=times[1]
    )


def unended(  # noqa: PLR0913, PLR0917 - the parts of one span
    entry: Span | None, kind: SpanKind, name: str, context: SpanContext, resource: Resource, start: int
) -> ReadableSpan:
    """Give an entry's span as far as it is; one of our own when no instrumentor made one.

    Args:
        entry: the instrumentor's, still open.
        kind: of our own.
        name: of our own.
        context: of our own.
        resource: of our own.
        start: when our own began, in nanoseconds since 1970.
    """
    if entry is None:
        return ReadableSpan(name=name, context=context, resource=resource, kind=kind, start_time=start, end_time=_now())
    span: ReadableSpan = entry._readable_span()  # noqa: SLF001 - the SDK's only way to read an open span
    span._end_time = _now()  # noqa: SLF001 - see above
    return span
