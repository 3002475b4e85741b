"""Recording: lanes collect their ended spans and the payloads beside them, and are written when their response is out."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags

from timetracer_otel import spans
from timetracer_otel.cassette import otlp, storage
from timetracer_otel.config import Settings
from timetracer_otel.exporters.resource import describe_process
from timetracer_otel.exporters.session import SessionLane
from timetracer_otel.exporters.sink import Sink
from timetracer_otel.seams import Call, Lane, Request, Response, entry_attributes, pending

if TYPE_CHECKING:
    import orjson
    from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider

__all__ = ["Recorder", "RecordingLane"]

TRACER_NAME = "timetracer_otel"
_new_id = os.urandom  # not random: an app's seeded draws stay as they are
_now = time.time_ns


class RecordingLane(Lane):
    """A lane that is being recorded. ``ended`` holds what is not written yet."""

    def __init__(self, runtime: Recorder, request: Request) -> None:
        super().__init__(_new_id(16).hex(), runtime, request)
        self.recorder = runtime
        self.start = _now()
        self.ended: list[tuple[ReadableSpan, Call | None]] = []
        self.entry: Span | None = None
        self.path: Path | None = None
        self.response: Response | None = None
        self.error: BaseException | None = None
        self.finished = False
        self.written = False
        self.kept = True

    def finish(self, response: Response | None, error: BaseException | None) -> None:
        self.response, self.error, self.finished = response, error, True
        self.recorder.emit_entry(self)
        if self.entry is None or not self.entry.is_recording():
            self.write()
            return
        # ASGI instrumentors end the entry's span right after our send returned, within this step of the loop.
        try:
            asyncio.get_running_loop().call_soon(self.write)
        except RuntimeError:
            self.write()

    def add(self, span: ReadableSpan, call: Call | None) -> None:
        """Take an ended span; write when it was the last thing that the lane waited for."""
        if self.written:
            self.append(span, call)
            return
        self.ended.append((span, call))
        if self.finished and self.entry is not None and _same(span, self.entry):
            self.write()

    def write(self) -> None:
        """Write the whole lane, once."""
        if self.written:
            return
        self.written = True
        ended, self.ended = self.ended, []
        self.kept = self.recorder.keeps(self, ended)
        if self.kept:
            size = _size(self.request) + _size(self.response) + sum(call.size() for _, call in ended if call)
            self.kept = self.recorder.sink.submit(self.id, size, lambda: self._write(ended))

    def append(self, span: ReadableSpan, call: Call | None) -> None:
        """Add a span that ended after the lane was written: a background task's, or the entry's own."""
        if self.kept:
            self.recorder.sink.submit(self.id, call.size() if call else 0, lambda: self._append(span, call))

    def _append(self, span: ReadableSpan, call: Call | None) -> None:
        if self.path is not None:
            line = self.recorder.line(self, [(span, call)])
            storage.append(self.path, storage.compress(line, self.recorder.settings.compression))

    def _write(self, ended: list[tuple[ReadableSpan, Call | None]]) -> None:
        recorder = self.recorder
        entry = next((s for s, _ in ended if self.entry is not None and _same(s, self.entry)), None)
        if entry is None:
            entry = self.snapshot(ended)
            ended = [*ended, (entry, None)]
        context = entry.get_span_context()
        if context is None or self.request is None:
            return
        route = (entry.attributes or {}).get("http.route")
        path = storage.lane_path(
            recorder.settings.dir,
            self.start,
            self.request.method,
            route if isinstance(route, str) else self.request.path,
            f"{context.trace_id:032x}",
            f"{context.span_id:016x}",
            recorder.settings.compression,
        )
        line = recorder.line(self, ended, entry)
        storage.write_whole(path, storage.compress(line, recorder.settings.compression))
        self.path = path
        storage.point_latest(recorder.settings.dir, path)

    def snapshot(self, ended: list[tuple[ReadableSpan, Call | None]]) -> ReadableSpan:
        """Give the entry's span as far as it is; one of our own when no instrumentor made one."""
        from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 - keeps the SDK out of a process in mode off

        if self.entry is not None:
            span = self.entry._readable_span()  # noqa: SLF001 - the SDK's only way to read an open span
            span._end_time = _now()  # noqa: SLF001 - see above
            return span
        parents = [span.parent for span, _ in ended if span.parent is not None]
        known = next((span.get_span_context() for span, _ in ended), None)
        trace_id = known.trace_id if known else int.from_bytes(_new_id(16), "big")
        request = self.request
        return ReadableSpan(
            name=f"{request.method} {request.path}" if request else "entry",
            context=SpanContext(trace_id, int.from_bytes(_new_id(8), "big"), is_remote=False),
            parent=next((parent for parent in parents if parent.is_remote), None),
            resource=self.recorder.provider.resource,
            kind=SpanKind.SERVER,
            start_time=self.start,
            end_time=_now(),
        )


class Recorder:
    """The runtime of mode record: opens lanes, knows the lane of every open span, writes what has ended.

    Args:
        settings: the settings in force.
        provider: the host's tracer provider, which stays as it is.
    """

    strips_lane_header = False

    def __init__(self, settings: Settings, provider: TracerProvider) -> None:
        self.settings = settings
        self.provider = provider
        self.sink = Sink()
        self.open: dict[int, tuple[Lane, Call | None]] = {}
        self._resource: tuple[int, orjson.Fragment] | None = None
        self._session = SessionLane(self, parent_id=None)
        os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        self.open = {}
        self._resource = None
        self._session = SessionLane(self, parent_id=self._session.id)

    def session(self) -> SessionLane:
        return self._session

    def responder(self, plugin: str) -> None:
        return None

    def wants_body(self, request: Request) -> bool:
        return False

    def open_lane(self, request: Request) -> Lane | None:
        if any(request.path.startswith(prefix) for prefix in self.settings.exclude_paths):
            return None
        self._session.stop_output()
        return RecordingLane(self, request)

    def begin(self, name: str, attributes: Mapping[str, spans.Attribute]) -> Call | None:
        """Start a span of our own for a call whose instrumentor is absent or was installed too late."""
        span = self.provider.get_tracer(TRACER_NAME).start_span(
            name, kind=SpanKind.CLIENT, attributes=dict(attributes)
        )
        call = pending.get()
        return call if call is not None and call.span is span else None

    def complete(self, call: Call) -> None:
        if self.settings.span_payloads and call.span.is_recording():
            call.span.set_attributes(dict(call.encoded()))

    def emit_entry(self, lane: RecordingLane) -> None:
        """Send what the entry's seam saw by the host's exporters: a child span, because the entry's may have ended."""
        if not self.settings.span_payloads or lane.entry is None or lane.request is None:
            return
        attributes = entry_attributes(lane.request, lane.response, lane.error)
        context = trace.set_span_in_context(lane.entry)
        part = self.provider.get_tracer(TRACER_NAME).start_span("timetracer.entry", context=context)
        part.set_attributes({**attributes, spans.PART: "entry"})
        part.end()

    def keeps(self, lane: RecordingLane, ended: list[tuple[ReadableSpan, Call | None]]) -> bool:
        """Whether a finished lane is written, by the settings."""
        if not self.settings.files:
            return False
        if self.settings.sample_rate < 1.0 and int(lane.id[:8], 16) / 0xFFFFFFFF > self.settings.sample_rate:
            return False
        if not self.settings.errors_only:
            return True
        failed = lane.error is not None or (lane.response is not None and lane.response.code >= 500)  # noqa: PLR2004
        return failed or any(span.status.status_code is StatusCode.ERROR for span, _ in ended)

    def line(self, lane: Lane, ended: list[tuple[ReadableSpan, Call | None]], entry: ReadableSpan | None = None) -> bytes:
        """Encode ended spans of one lane as one line of a cassette; ``entry`` is the one that carries the lane's request."""
        encoded = []
        for span, call in ended:
            extra: dict[str, spans.Attribute] = {spans.LANE_ID: lane.id}
            if call is not None:
                extra |= call.encoded()
            elif span is entry and isinstance(lane, RecordingLane) and lane.request is not None:
                extra |= entry_attributes(lane.request, lane.response, lane.error)
            encoded.append((span.instrumentation_scope, otlp.span_to_dict(span, extra)))
        return otlp.traces_line(self.resource(), encoded)

    def resource(self) -> orjson.Fragment:
        """The resource of this process, encoded; made anew when modules were imported since."""
        imported = len(sys.modules)
        if self._resource is None or self._resource[0] != imported:
            attributes = {**self.provider.resource.attributes, **describe_process(self.settings)}
            attributes |= self._session.resource_attributes()
            self._resource = (imported, otlp.resource_fragment(attributes))
        return self._resource[1]


def _same(span: ReadableSpan, entry: Span) -> bool:
    context = span.get_span_context()
    return context is not None and context.span_id == entry.get_span_context().span_id


def _size(message: Request | Response | None) -> int:
    return 0 if message is None else sum(map(len, message.body))
