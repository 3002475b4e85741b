"""Spans of calls that only we start and only we hear: the SDK's, without what it does for others."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from opentelemetry import trace
from opentelemetry.context import get_current
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, Tracer
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags

from timetracer_otel import spans

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import TraceState

__all__ = ["LeanSpan", "Listener", "started"]

_now: Final = time.time_ns
_SAMPLED: Final[int] = TraceFlags.SAMPLED
_PLAIN: Final = frozenset({str, int, bool, float})
"""Types of values that the SDK takes as they are."""
_FEWEST: Final = 64
"""How many attributes a span must be allowed to have: ours have a dozen."""


class Listener(Protocol):
    """The one span processor of a process, when that is ours."""

    hears_lean_spans: bool

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Take a span that begins."""
        ...

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended."""
        ...


class LeanSpan(Span):
    """A span whose attributes are plain and unbounded, and which is not copied when it ends.

    Args:
        tracer: as the SDK makes a span.
        listener: hears of it.
        name: of the span.
        kind: likewise.
        attributes: likewise, plain ones.
        context: likewise.
        parent: likewise.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of one span
        self,
        tracer: Tracer,
        listener: Listener,
        name: str,
        kind: SpanKind,
        attributes: dict[str, spans.Attribute],
        context: SpanContext,
        parent: SpanContext | None,
    ) -> None:
        ReadableSpan.__init__(  # not Span's, which makes all that this one does without
            self,
            name=name,
            context=context,
            parent=parent,
            resource=tracer.resource,
            attributes=attributes,
            kind=kind,
            start_time=_now(),
            instrumentation_scope=tracer._instrumentation_scope,  # noqa: SLF001 - as the SDK makes a span
        )
        self._lock = threading.Lock()
        self._limits = tracer._span_limits  # noqa: SLF001 - as above
        self._listener = listener

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set plain attributes, while it is open."""
        for name, value in attributes.items():
            self.set_attribute(name, value)

    def _add_event(self, event: Any) -> None:
        self._events: tuple[Event, ...] = (*self._events, event)

    def _add_link(self, link: Link) -> None:
        self._links: tuple[Link, ...] = (*self._links, link)

    def end(self, end_time: int | None = None) -> None:
        """End it, once."""
        with self._lock:
            if self._end_time is not None:
                return
            self._end_time = _now() if end_time is None else end_time
        self._listener.on_end(self)


def started(
    provider: TracerProvider, tracer: trace.Tracer, name: str, attributes: dict[str, spans.Attribute], kind: SpanKind
) -> Span | None:
    """Start a span of ours; None where others hear of it too, or want it bounded: then the SDK makes it.

    Args:
        provider: the host's.
        tracer: ours.
        name: of the span.
        attributes: likewise; they are the span's from now on.
        kind: likewise.
    """
    listener = _only(provider)
    if listener is None or type(tracer) is not Tracer or not _takes_all(tracer, attributes):
        return None
    current = get_current()  # once: each of those below would look for it
    parent: SpanContext | None = trace.get_current_span(current).get_span_context()
    ids = tracer.id_generator
    if parent is None or not parent.is_valid:
        parent = None
        trace_id, is_random = ids.generate_trace_id(), ids.is_trace_id_random()
    else:
        trace_id, is_random = parent.trace_id, parent.trace_flags.random_trace_id
    if parent is not None and parent.trace_flags & _SAMPLED and getattr(tracer.sampler, "samples_children", False):
        flags = _SAMPLED
        state: TraceState | None = parent.trace_state
    else:
        sampled = tracer.sampler.should_sample(current, trace_id, name, kind, attributes, ())
        if sampled.decision is Decision.DROP:
            return None
        flags, state = _SAMPLED if sampled.decision is Decision.RECORD_AND_SAMPLE else 0, sampled.trace_state
        attributes = dict(sampled.attributes or {})
    if is_random:
        flags |= TraceFlags.RANDOM_TRACE_ID
    context = SpanContext(trace_id, ids.generate_span_id(), False, TraceFlags(flags), state)  # noqa: FBT003 - as the SDK's class takes it
    span = LeanSpan(tracer, listener, name, kind, attributes, context, parent)
    listener.on_start(span, current)
    return span


def _only(provider: TracerProvider) -> Any:
    """Our span processor, when the provider has no other."""
    processors = provider._active_span_processor._span_processors  # noqa: SLF001 - the SDK shows it nowhere else
    return processors[0] if len(processors) == 1 and getattr(processors[0], "hears_lean_spans", False) else None


def _takes_all(tracer: Tracer, attributes: Mapping[str, spans.Attribute]) -> bool:
    """Whether the SDK would take a span's attributes as they are."""
    limits = tracer._span_limits  # noqa: SLF001 - the SDK shows it nowhere else
    most = limits.max_span_attributes
    return (
        tracer._is_enabled()  # noqa: SLF001 - as above
        and limits.max_span_attribute_length is None
        and (most is None or most >= _FEWEST)
        and _PLAIN.issuperset(map(type, attributes.values()))
    )
