"""Payloads that leave in spans of their own: late ones, and pieces of large ones, which must not pile up in memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from timetracer_otel import spans
from timetracer_otel.cassette import otlp, storage
from timetracer_otel.config import Settings
from timetracer_otel.exporters.ended import Ended
from timetracer_otel.seams import Call, Lane

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["Spill", "emit"]


Attributes: TypeAlias = dict[str, spans.Attribute]


class _Recorder(Protocol):
    settings: Settings
    provider: TracerProvider


def emit(recorder: _Recorder, call: Call, kind: str, attributes: Callable[[], Attributes]) -> None:
    """Send a payload the ways that its call goes, unless the call itself can still take it.

    Args:
        recorder: the runtime.
        call: that it belongs to.
        kind: ``body`` or ``chunk``.
        attributes: encodes the payload.
    """
    settings, is_chunk = recorder.settings, kind == "chunk"
    sends = settings.span_payloads and (is_chunk or not call.span.is_recording())
    files = settings.files and (is_chunk or call.written) and call.lane.pid == os.getpid()
    if sends or files:
        encoded = {spans.PART: kind, **attributes()}
        if sends:
            _send(recorder.provider, call, kind, encoded)
        if files:
            _file(recorder.provider, call.lane, call, kind, encoded)


def _send(provider: TracerProvider, call: Call, kind: str, attributes: Attributes) -> None:
    context = trace.set_span_in_context(call.span, Context())
    part = provider.get_tracer("timetracer_otel").start_span(f"timetracer.{kind}", context=context)
    part.set_attributes(dict(attributes))
    part.end()


def _file(provider: TracerProvider, lane: Lane, call: Call, kind: str, attributes: Attributes) -> None:
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 - keeps the SDK out of a process in mode off

    context, now = call.span.get_span_context(), time.time_ns()
    span = ReadableSpan(
        name=f"timetracer.{kind}",
        context=SpanContext(context.trace_id, int.from_bytes(os.urandom(8), "big"), is_remote=False),
        parent=context,
        resource=provider.resource,
        start_time=now,
        end_time=now,
    )
    encoded = otlp.span_fragment(span, {spans.LANE_ID: lane.id, **attributes})
    add = getattr(lane, "add_part", None)  # both kinds of recorded lanes have it; a lane of a test may not
    if add is not None:
        add(Ended(call.span.instrumentation_scope, encoded))


class Spill:
    """Lines of a lane that is still open, on disk beside where its file will be; made only when there are any.

    Args:
        settings: where to, and how compressed.
        lane_id: names the file.
    """

    __slots__ = ("_path", "_settings", "_used")

    def __init__(self, settings: Settings, lane_id: str) -> None:
        self._settings = settings
        self._path: Path = settings.dir / f".{lane_id}.part"
        self._used = False

    def write(self, line: bytes) -> None:
        """Append a line at once, in the caller: a queue could outgrow memory.

        Raises:
            CassetteError: it cannot be written.
        """
        self._used = True
        storage.append(self._path, storage.compress(line, self._settings.compression))

    def write_whole(self, path: Path, data: bytes) -> None:
        """Write a lane's file, with what was spilled behind it.

        Args:
            path: the lane's file.
            data: its lines, compressed already.

        Raises:
            CassetteError: it cannot be written.
        """
        if not self._used:
            storage.write_whole(path, data)
            return
        with storage.whole_file(path) as file, self._path.open("rb") as spilled:
            os.write(file, data)
            while block := spilled.read(1 << 20):
                os.write(file, block)
        self.discard()

    def discard(self) -> None:
        """Remove what was spilled."""
        if self._used:
            self._used = False
            self._path.unlink(missing_ok=True)
