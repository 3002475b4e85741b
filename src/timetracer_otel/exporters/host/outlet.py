"""One exporter of the host's: given batches that receivers take, and watched for what it loses."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from timetracer_otel.exporters.host.secrets import hidden
from timetracer_otel.exporters.host.span_sizes import span_size
from timetracer_otel.seams import faults

__all__ = ["MESSAGE_BYTES", "Outlet", "split"]

_log = logging.getLogger("timetracer_otel")

MESSAGE_BYTES: Final = 3_500_000
"""Of the spans in one message. gRPC servers refuse messages above 4 MiB unless told otherwise (grpc-go, MaxRecvMsgSize;
grpc.max_receive_message_length of the others). The rest is for the resource, the scopes, and what a collector adds."""
PATIENCE: Final = 10.0
"""Seconds that the parts of one batch may go on failing before the rest of it is given up: an exporter tries one batch
for that long (OTEL_EXPORTER_OTLP_TIMEOUT)."""


def split(spans: Sequence[ReadableSpan], limit: int = MESSAGE_BYTES) -> Iterator[Sequence[ReadableSpan]]:
    """Part a batch so that each part is below a size; a span that alone is above it is a part of its own.

    Args:
        spans: in their order, which is kept.
        limit: bytes of the encoded spans.

    Returns:
        The parts; the very batch when it fits.
    """
    sizes = [span_size(span) for span in spans]
    if sum(sizes) <= limit:
        yield spans
        return
    start = held = 0
    for position, size in enumerate(sizes):
        if held + size > limit and position > start:
            yield spans[start:position]
            start, held = position, 0
        held += size
    yield spans[start:]


def _without_secrets(spans: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
    try:
        return [hidden(span) for span in spans]
    except Exception as error:  # noqa: BLE001 - the host's export must go on
        faults.report("outlets.hidden", error)
        return spans


class Outlet:
    """An exporter whose ``export`` is shadowed for as long as we are installed.

    Args:
        processor: the host's, which feeds it.
        exporter: the host's; it stays the object that it is.
    """

    def __init__(self, processor: SpanProcessor, exporter: SpanExporter) -> None:
        self.processor = processor
        self.exporter = exporter
        self.name = f"{type(exporter).__module__}.{type(exporter).__qualname__}"
        self._export = exporter.export
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self.offered = 0
        """Spans that the processor was given since."""
        self.handed = 0
        """Spans that the processor gave the exporter."""
        self.failed = 0
        """Spans that the exporter did not deliver."""
        self.delivered = 0
        """Spans that it did."""
        self._failing = 0
        self._lock = threading.Lock()

    def shadow(self) -> Callable[[], None]:
        """Put ours before the exporter's own ``export``; give what takes it away.

        Raises:
            AttributeError: the exporter takes no attributes.
        """
        shadow = self.export
        self.exporter.export = shadow  # type: ignore[method-assign]  # the exporter stays the object that it is

        def undo() -> None:
            if vars(self.exporter).get("export") is shadow:
                del self.exporter.export

        return undo

    def offer(self) -> None:
        """Count a span that the processor was given."""
        with self._lock:
            self.offered += 1

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch in parts that receivers take, without secrets; apart from that, as the exporter does.

        Args:
            spans: the batch.

        Returns:
            FAILURE when any of them was not delivered.
        """
        with self._lock:
            self.handed += len(spans)
        result, since = SpanExportResult.SUCCESS, None
        for part in split(_without_secrets(spans)):
            began = time.monotonic()
            if since is not None and began - since > PATIENCE:
                self._lose(part)
            elif self._deliver(part) is not SpanExportResult.SUCCESS:
                result, since = SpanExportResult.FAILURE, since or began
        return result

    def _deliver(self, part: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._export(part)
        except BaseException:
            self._lose(part)
            raise
        if result is SpanExportResult.SUCCESS:
            with self._lock:
                self.delivered += len(part)
            self._recover()
        else:
            self._lose(part)
        return result

    def _lose(self, part: Sequence[ReadableSpan]) -> None:
        with self._lock:
            self.failed += len(part)
            self._failing += len(part)
            is_first = self._failing == len(part)
        if is_first:
            largest = max(map(span_size, part))
            cause = f" One is {largest} bytes large: raise max_recv_msg_size_mib of the receiver (4 if unset)."
            _log.error(
                "timetracer: %d span(s) were not delivered by %s, their requests cannot be replayed.%s What follows is "
                "counted until it delivers again",
                len(part),
                self.name,
                cause if largest > MESSAGE_BYTES else "",
            )

    def _recover(self) -> None:
        if self._failing:
            with self._lock:
                lost, self._failing = self._failing, 0
            _log.warning("timetracer: %s delivers again, after %d span(s) were lost", self.name, lost)

    def waiting(self) -> int:
        """Spans in the processor's queue, as far as that can be seen."""
        return len(getattr(getattr(self.processor, "_batch_processor", None), "_queue", ()))

    def unsent(self) -> int:
        """Spans of which it is not known that they arrived, nor that they did not: waiting, or under way."""
        return self.waiting() + self.handed - self.failed - self.delivered

    def overflowed(self) -> int:
        """Spans that the processor dropped because its queue was full; exact while nothing is under way."""
        return max(0, self.offered - self.handed - self.waiting())
