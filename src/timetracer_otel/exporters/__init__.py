"""Span exporters, and the recorder that feeds cassettes from every span of the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from timetracer_otel import config
from timetracer_otel.errors import ConfigError
from timetracer_otel.exporters.host.cassette import CassetteSpanExporter
from timetracer_otel.seams import active, faults, tracing

__all__ = ["CassetteSpanExporter", "TimetracerSpanExporter", "set_aside"]


class TimetracerSpanExporter(SpanExporter):
    """The exporter that ``--traces_exporter timetracer`` builds.

    Beside our recorder, which has seen every span already, it writes nothing. Where the recorder could not be
    installed it writes the spans as they are.
    """

    def __init__(self) -> None:
        self._alone = _alone()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write what the recorder has not seen."""
        if self._alone is None or active() is not None:
            return SpanExportResult.SUCCESS
        return self._alone.export(spans)

    def shutdown(self) -> None:
        """Write what waits."""
        if self._alone is not None:
            self._alone.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Write what waits; whether it was done in time."""
        return self._alone is None or self._alone.force_flush(timeout_millis)


def _alone() -> CassetteSpanExporter | None:
    """Give the writer where there is no recorder; None when it is off, as by a wrong setting.

    That must not raise here: the SDK would take it for a fault of all telemetry.
    """
    try:
        settings = config.load()
    except ConfigError as error:
        faults.tell_off(error)
        return None
    return None if settings.mode == "off" else CassetteSpanExporter(settings.dir, settings.compression)


def set_aside(provider: TracerProvider) -> Callable[[], None]:
    """Take the processors of :class:`TimetracerSpanExporter` out of a provider while a recorder sees every span.

    They would queue two thousand spans, lock for each and wake a thread, to write nothing. The thread ends, too: gevent
    exchanges the locks of the interpreter only while there is no thread but the main one, and programs that it patches
    behind us would stop for ever.

    Args:
        provider: the host's.

    Returns:
        What puts others of their kind in their place.
    """
    ours = tracing.take_out(provider, _is_ours)
    for one in ours:
        one.shutdown()

    def put_back() -> None:
        again = [type(one)(one.span_exporter) for one in ours]  # type: ignore[call-arg, attr-defined]  # so says _is_ours
        active_processor = provider._active_span_processor  # noqa: SLF001 - the SDK can only add at the end
        active_processor._span_processors = (*again, *active_processor._span_processors)  # noqa: SLF001 - as above

    return put_back


def _is_ours(processor: SpanProcessor) -> bool:
    return isinstance(getattr(processor, "span_exporter", None), TimetracerSpanExporter)
