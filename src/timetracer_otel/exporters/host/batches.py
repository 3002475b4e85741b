"""Batches for the host's exporters, of a size that receivers take: memory is bounded, losses are counted."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator

from timetracer_otel import spans
from timetracer_otel.exporters.host.backlog import Waiting
from timetracer_otel.exporters.host.limits import longest_attribute
from timetracer_otel.exporters.host.otlp_sender import BUDGET, SMALL, Leaving
from timetracer_otel.exporters.host.outlet import Outlet
from timetracer_otel.exporters.host.span_sizes import span_size
from timetracer_otel.seams import faults, tracing

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

__all__ = ["Batches", "attach"]

_log = logging.getLogger("timetracer_otel")

_DELAY = "OTEL_BSP_SCHEDULE_DELAY"
"""Users who want fewer, larger batches set this."""
EXIT_SECONDS = 10.0
"""How long the end of the process waits for chunks; the SDK itself waits 30 s for its exporters."""


class Batches(SpanProcessor):
    """Watches the host's exporters: those that are there, and those that come later.

    Args:
        provider: the host's.
        budget: bytes that may wait for its exporters.
    """

    def __init__(self, provider: TracerProvider, budget: int) -> None:
        self._processors = provider._active_span_processor  # noqa: SLF001 - the SDK tells nobody what it holds
        self._seen: object = None
        self._undo = ExitStack()
        self.outlets: list[Outlet] = []
        self._sends_soon = _DELAY not in os.environ
        self.waiting = Waiting()
        tracer = provider.get_tracer(spans.TRACER_NAME)
        _own_ids(tracer)
        self.leaving = Leaving(tracer, self.waiting, self.flush, longest_attribute(provider), budget)
        self._adopt()

    def _adopt(self) -> None:
        self._seen = processors = self._processors._span_processors  # noqa: SLF001 - as above
        for processor in processors:
            exporter = getattr(processor, "span_exporter", None)
            if exporter is None or any(one.exporter is exporter for one in self.outlets):
                continue
            outlet = Outlet(processor, exporter)
            try:
                self._undo.callback(outlet.shadow())
            except AttributeError:
                _log.warning("timetracer: what %s loses is not counted, nor are its batches split", outlet.name)
            else:
                self.outlets.append(outlet)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Look whether the host has another exporter now."""
        if self._processors._span_processors is not self._seen:  # noqa: SLF001 - as above
            self._adopt()

    def on_end(self, span: ReadableSpan) -> None:
        """Count a span that goes to the host's exporters."""
        context = span.context
        if context is None or not context.trace_flags.sampled:
            return
        try:
            for outlet in self.outlets:
                outlet.offer()
            if self._sends_soon and self.outlets:
                self.leaving.soon()
            size = span_size(span)
            if size > SMALL:
                self.waiting.add(span, size)
                self.leaving.wake()
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("batches.on_end", error)

    def flush(self) -> None:
        """Have the host's processors send what they hold."""
        for outlet in self.outlets:
            outlet.processor.force_flush()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send the chunks that wait; whether it was done in time."""
        done = self.leaving.drain(timeout_millis / 1000)
        self.flush()
        return done

    def shutdown(self) -> None:
        """Say what was lost, once the host's processors have ended."""
        lost = self.lost()
        if left := sum(one.unsent() for one in self.outlets):
            lost["span(s) that were not sent when the process ended"] = left
        if lost:
            told = ", ".join(f"{count} {what}" for what, count in lost.items())
            _log.error("timetracer: not all of the recording was delivered: %s", told)

    def lost(self) -> dict[str, int]:
        """Count what did not reach a receiver, by reason; empty when nothing was lost."""
        queue = os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE", "2048")
        counts = {
            "span(s) that the exporter could not deliver": sum(one.failed for one in self.outlets),
            f"span(s) dropped from a full queue (OTEL_BSP_MAX_QUEUE_SIZE={queue})": sum(
                one.overflowed() for one in self.outlets
            ),
            "payload(s) left out for lack of memory": self.leaving.left_out,
        }
        return {what: count for what, count in counts.items() if count}

    def detach(self) -> None:
        """Give the exporters their own ``export`` back."""
        self._undo.close()


class _Ids(IdGenerator):
    """Ids that are not drawn from :mod:`random`: an app's seeded draws stay as they are, whenever a chunk is sent.

    Args:
        host: makes the trace ids, which may have to follow a scheme.
    """

    def __init__(self, host: IdGenerator) -> None:
        self._host = host

    def generate_span_id(self) -> int:
        """A random number that is not 0."""
        return int.from_bytes(os.urandom(8), "big") or 1

    def generate_trace_id(self) -> int:
        """As the host's."""
        return self._host.generate_trace_id()


def _own_ids(tracer: object) -> None:
    host = getattr(tracer, "id_generator", None)
    if isinstance(host, IdGenerator) and not isinstance(host, _Ids):
        tracer.id_generator = _Ids(host)  # type: ignore[attr-defined]  # the SDK's tracers have it, and this one is ours


def attach(provider: TracerProvider, budget: int = BUDGET) -> tuple[Leaving, Callable[[], None]]:
    """Watch a provider's exporters.

    Args:
        provider: the host's, which stays as it is.
        budget: bytes that may wait for its exporters; payloads on top are left out and counted.

    Returns:
        What large payloads leave by, and what ends all this.
    """
    batches, undo = Batches(provider, budget), ExitStack()
    undo.callback(tracing.attach(provider, batches))
    undo.callback(batches.detach)
    undo.callback(batches.leaving.drain, EXIT_SECONDS)
    return batches.leaving, undo.close
