"""The host's tracer provider: found, and given a processor of ours for as long as we are installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind

from timetracer_otel.errors import ConfigError
from timetracer_otel.seams.lanes import mark
from timetracer_otel.seams.runtime import Runtime, current_lane

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, TraceState
    from opentelemetry.util.types import Attributes

__all__ = [
    "LaneMarker",
    "RecordAll",
    "Unheard",
    "attach",
    "host_provider",
    "is_unheard",
    "provider_of_test",
    "take_out",
]


class LaneMarker(SpanProcessor):
    """Lets every span carry its lane, for contexts that keep the span and lose our key.

    Args:
        runtime: knows the session.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Mark a span that begins."""
        mark(span, current_lane(self._runtime, parent_context))


class RecordAll(Sampler):
    """Turns the host sampler's DROP into RECORD_ONLY: our processor sees the span, no exporter of the host does.

    Args:
        sampler: the host's.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self.samples_children = sampler is DEFAULT_ON
        """Whether each child of a sampled span is sampled, so that who starts one need not ask."""

    def should_sample(  # noqa: PLR0913, PLR0917 - the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Do as the host's, but record what it drops."""
        result = self._sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        if result.decision is not Decision.DROP:
            return result
        return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)

    def get_description(self) -> str:
        """The host's sampler, in words."""
        return self._sampler.get_description()


class Unheard(RecordAll):
    """Drops the spans of calls for as long as no processor but ours is there: in a replay nobody would get them.

    Every other span is recorded, whatever the host's sampler says, because it carries its lane.

    Args:
        sampler: the host's.
        provider: the host's.
    """

    def __init__(self, sampler: Sampler, provider: TracerProvider) -> None:
        super().__init__(sampler)
        self.samples_children = False
        self._processors = provider._active_span_processor  # noqa: SLF001 - the SDK shows it nowhere else

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> SamplingResult:
        """Drop calls, record everything else."""
        if kind in _CALLS and len(self._processors._span_processors) <= 1:  # noqa: SLF001 - as above
            return _DROPPED
        return super().should_sample(parent_context, trace_id, name, kind, *args, **kwargs)


def is_unheard(provider: TracerProvider) -> bool:
    """Whether no processor but ours is there, so that nobody gets the spans of a replay.

    Args:
        provider: the host's.
    """
    return len(provider._active_span_processor._span_processors) <= 1  # noqa: SLF001 - the SDK shows it nowhere else


_CALLS = (SpanKind.CLIENT, SpanKind.PRODUCER)
_DROPPED = SamplingResult(Decision.DROP)


def host_provider() -> TracerProvider:
    """Give the tracer provider of this process; one of ours, without exporters, when it has none.

    Raises:
        ConfigError: it is not the OpenTelemetry SDK's.
    """
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    if not isinstance(provider, TracerProvider):
        raise ConfigError(f"the tracer provider is a {type(provider).__name__}, not the OpenTelemetry SDK's")
    return provider


def provider_of_test() -> TracerProvider:
    """Give the tracer provider of this process; where it has none of the SDK's one of ours, which nobody else gets.

    A test may set up telemetry itself, which OpenTelemetry lets a process do once.
    """
    provider = trace.get_tracer_provider()
    return provider if isinstance(provider, TracerProvider) else _unshared_provider()


@cache
def _unshared_provider() -> TracerProvider:
    return TracerProvider(shutdown_on_exit=False)


def attach(
    provider: TracerProvider, processor: SpanProcessor, sampler: Callable[[Sampler], Sampler] | None = None
) -> Callable[[], None]:
    """Add a processor to a provider, whose exporters get what they got before.

    Args:
        provider: the host's.
        processor: ours.
        sampler: makes one that stands before the host's, so that the processor also sees what that drops.

    Returns:
        What takes the processor away again.
    """
    hosts = provider.sampler
    provider.add_span_processor(processor)
    if sampler is not None:
        _sample_by(provider, sampler(hosts))

    def detach() -> None:
        _sample_by(provider, hosts)
        take_out(provider, lambda one: one is processor)

    return detach


def take_out(provider: TracerProvider, unwanted: Callable[[SpanProcessor], bool]) -> tuple[SpanProcessor, ...]:
    """Take processors out of a provider; the rest stays as it is.

    Args:
        provider: the host's.
        unwanted: says which.

    Returns:
        What was taken out.
    """
    active = provider._active_span_processor  # noqa: SLF001 - the SDK can only add
    there = active._span_processors  # noqa: SLF001 - as above
    active._span_processors = tuple(one for one in there if not unwanted(one))  # noqa: SLF001 - as above
    return tuple(filter(unwanted, there))


def _sample_by(provider: TracerProvider, sampler: Sampler) -> None:
    provider.sampler = sampler
    # Tracers that exist already hold the sampler of their time.
    for tracer in getattr(provider, "_tracers", {}).values():
        tracer.sampler = sampler
