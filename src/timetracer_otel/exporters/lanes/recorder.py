"""Recording: lanes collect ended spans and the payloads beside them, and are written when their response is out."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.trace import SpanContext, SpanKind, StatusCode, Tracer

from timetracer_otel import encoding, seams, spans
from timetracer_otel.cassette import naming, otlp, storage
from timetracer_otel.config import Settings
from timetracer_otel.exporters.host.otlp_sender import Leaving
from timetracer_otel.exporters.host.secrets import hidden
from timetracer_otel.exporters.lanes import draw_spans, lane_size, payload_spans
from timetracer_otel.exporters.lanes.encoded_span import Ended, unended
from timetracer_otel.exporters.lanes.resource import Description, describe_process
from timetracer_otel.exporters.lanes.selection import Selection
from timetracer_otel.exporters.lanes.session import SessionLane
from timetracer_otel.exporters.writing.losses import PRESSURE, Tally
from timetracer_otel.exporters.writing.memory import Memory
from timetracer_otel.exporters.writing.retention import PASS_SECONDS, Retention
from timetracer_otel.exporters.writing.sink import Sink
from timetracer_otel.seams import Call, Lane, Request, Response, children, pending

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

__all__ = ["Recorder", "RecordingLane"]

COUNTS_SECONDS = 1.0
"""How often counts that have changed go to the session's file."""
EXIT_SECONDS = 30.0
"""How long the end of a process may wait for what is not written yet."""
MANY_OPEN = 10_000
UNENDED_NS = 3600 * 10**9
"""Of so many spans that are open, those of lanes that began so long ago and are written are given up."""
STOP_SECONDS = 10.0
"""How long a server that stops may be kept by what is not written yet."""
_new_id = os.urandom  # not random: an app's seeded draws stay as they are
_now = time.time_ns


class RecordingLane(Lane):
    """A lane that is being recorded. ``ended`` holds what is not written yet."""

    # What few lanes need is of the class until then.
    held = 0
    """Bytes held that are known."""
    counted = 0
    """How many of them are counted in the recorder's memory."""
    looked = 0
    """How many spans of ``ended`` were weighed."""
    chunks: dict[str, int] | None = None
    """How many chunks each body has left in."""
    abandoned = False
    took = 0
    """Nanoseconds until the response was out, where that is asked for."""
    triggered = False
    share: float | None = None
    """The share of such lanes that is kept, when it is known already."""

    def __init__(self, runtime: Recorder, request: Request) -> None:
        super().__init__(_new_id(16).hex(), runtime, request)
        self.recorder = runtime
        self.start = _now()
        self.ended: list[Ended] = []
        self.entry: Span | None = None
        self.ended_entry: ReadableSpan | None = None
        self.path: Path | None = None
        self.response: Response | None = None
        self.error: BaseException | None = None
        self.failed = False
        self.finished = False
        self.written = False
        self.kept = runtime.selection.begins(self) and runtime.settings.files  # it masks a secret, in any case
        self.spill = payload_spans.Spill(runtime.settings, self.id)
        self.draws = draw_spans.begin(runtime, self) if self.kept or runtime.settings.span_payloads else None

    def finish(self, response: Response | None, error: BaseException | None) -> None:
        """Take the response; write once the entry's span has ended too."""
        self.response, self.error, self.finished = response, error, True
        if self.recorder.selection.timed:
            self.took = _now() - self.start
        if self.chunks is not None:
            lane_size.end(self)
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
        if not self.kept:
            return
        self.failed |= span.status.status_code is StatusCode.ERROR
        is_entry = call is None and self.entry is not None and _same(span, self.entry)
        if self.written:
            self._append(Ended.of(self, span, call))
            draw_spans.flush(self.recorder, self)
        elif not is_entry:
            ended = Ended.of(self, span, call)
            self.ended.append(ended)
            if ended.encoded is None or not len(self.ended) & lane_size.LOOK_MASK:
                lane_size.look(self)
        else:
            self.ended_entry = span
            if self.finished:
                self.write()

    def write(self) -> None:
        """Write the whole lane, once."""
        if self.written:
            return
        self.written = True
        ended, self.ended = self.ended, []
        recorder = self.recorder
        self.kept = self.kept and recorder.keeps(self)
        if self.counted:
            recorder.memory.take(-self.counted)
        if self.kept:
            size = _size(self.request) + _size(self.response) + sum(one.size() for one in ended)
            if recorder.sink.slow:  # even small ones will wait, and many
                size += lane_size.weight(ended)
            self.kept = recorder.sink.submit(self.id, size, lambda: self._write(ended), is_lane=True)
        if not self.kept:
            recorder.sink.submit(self.id, 0, self._discard)  # behind the parts that still wait
            self.draws = None

    def grew(self, message: Request | Response, size: int) -> None:
        """Take note that a body has grown."""
        lane_size.grew(self, message, size)

    def abandon(self, reason: str, detail: object) -> None:
        """Give the whole lane up, once.

        Args:
            reason: a word of :mod:`counting`.
            detail: for the log.
        """
        if self.abandoned:
            return
        self.abandoned, self.kept, self.draws = True, False, None
        self.recorder.tally.drop(reason, detail)
        self.ended.clear()
        self.recorder.memory.take(-self.counted)
        self.held = self.counted = 0
        self.recorder.sink.submit(self.id, 0, self._discard)

    def _discard(self) -> None:
        with suppress(OSError):  # what cannot be written can perhaps not be removed
            self.spill.discard()

    def add_part(self, part: payload_spans.Part) -> bool:
        """Take a part of a call: beside the lane while it is open, behind it afterwards; whether it was taken."""
        return not self.kept or self.recorder.sink.submit(self.id, part.size, lambda: part.write(self._add_line))

    def _add_line(self, fragment: bytes, scope: InstrumentationScope | None) -> None:
        line = self.recorder.line([(scope, fragment)])
        if self.path is None:
            self.spill.write(line)
        else:
            storage.append(self.path, storage.compress(line, self.recorder.settings.compression))

    def _append(self, ended: Ended) -> None:
        """Add a span that ended after the lane was written: a background task's, or the entry's own."""

        def write() -> None:
            if self.path is not None:
                self._add_line(ended.fragment(self), ended.scope)

        self.recorder.sink.submit(self.id, ended.size(), write)

    def _write(self, ended: list[Ended]) -> None:
        try:
            self._write_whole(ended)
        except BaseException:
            self.kept, self.draws = False, None
            self._discard()
            raise

    def _write_whole(self, ended: list[Ended]) -> None:
        request, settings = self.request, self.recorder.settings
        entry = self.ended_entry or self._unended_entry()
        context = entry.get_span_context()
        if request is None or context is None or self.abandoned:
            return
        path = naming.lane_path(
            settings.dir,
            self.start,
            request.method,
            self.route(entry) or request.path,
            f"{context.trace_id:032x}",
            f"{context.span_id:016x}",
            settings.compression,
        )
        extra = {spans.LANE_ID: self.id, **self.drawn, **lane_size.entry(self, request)}
        whole = [(one.scope, one.fragment(self)) for one in ended]
        whole.append((entry.instrumentation_scope, otlp.span_fragment(hidden(entry), extra)))
        data = storage.compress(self.recorder.line(whole), settings.compression)
        self.spill.write_whole(path, data)
        self.path = path
        if self.recorder.retention.limited:
            self.recorder.retention.wrote(len(data))
        self.recorder.latest(path)
        draw_spans.flush(self.recorder, self.recorder.session())

    @cached_property
    def drawn(self) -> dict[str, spans.Attribute]:
        """What was drawn until it is first asked for; the later is flushed."""
        return draw_spans.rest(self)

    def route(self, entry: ReadableSpan | Span | None = None) -> str | None:
        """The route that an instrumentor has found, if any."""
        span = entry or self.ended_entry or self.entry
        route = (span.attributes or {}).get("http.route") if span is not None else None
        return route if isinstance(route, str) else None

    @cached_property
    def entry_context(self) -> SpanContext:
        """Of the entry's span: an instrumentor's, else of the one that we make at the end."""
        if self.entry is not None:
            return self.entry.get_span_context()
        return SpanContext(int.from_bytes(_new_id(16), "big"), int.from_bytes(_new_id(8), "big"), is_remote=False)

    def _unended_entry(self) -> ReadableSpan:
        name = f"{self.request.method} {self.request.path}" if self.request else "entry"
        return unended(self.entry, name, self.entry_context, self.recorder.provider.resource, self.start)


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
        self.selection = Selection(settings)
        self.memory = Memory(settings.max_memory)
        self.tally = Tally()
        self.sink = Sink(self.memory, self.tally)
        self.retention = Retention(settings)
        if settings.files:
            self.sink.every(PASS_SECONDS, self._keep_house)
            self.sink.every(COUNTS_SECONDS, lambda: self.session().note_counts())
        self.relieving = threading.RLock()
        self.open: dict[int, tuple[Lane, Call | None]] = {}
        self.leaving: Leaving | None = None
        """Takes large payloads out of what leaves by the host's exporters; None when none leave that way."""
        self.unwatch: Callable[[], None] = lambda: None  # ends the watching of the standard streams
        self._ends_children = False
        self._description: tuple[int, Description] | None = None
        self._session = SessionLane(self, children.parent(), children.place())
        os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        if seams.active() is not self:  # it was uninstalled, and what is called at a fork cannot be taken back
            return
        self.open.clear()
        self._description = None
        self.relieving = threading.RLock()
        self._session = self._session.forked()
        if not self._ends_children:
            self._ends_children = children.at_child_end(self, self._end_child)

    def _end_child(self) -> None:
        if seams.active() is self:
            self.end()

    def _keep_house(self) -> None:
        self._session.touch()
        self.retention.start()
        if len(self.open) > MANY_OPEN:
            self._forget_unended()

    def _forget_unended(self) -> None:
        """Forget spans that an app has begun and never ends: they would hold their lanes for ever."""
        oldest = _now() - UNENDED_NS
        for span_id, (lane, _) in list(self.open.items()):
            if isinstance(lane, RecordingLane) and lane.written and lane.start < oldest:
                self.open.pop(span_id, None)

    def end(self) -> None:
        """End what is under way and the session, and write what waits."""
        for call in [call for _, call in list(self.open.values()) if call is not None]:
            call.abandon()
        self._session.end()
        self.sink.drain(EXIT_SECONDS)

    def stop(self) -> None:
        """Write what waits: the server is about to end, perhaps by a signal that no exit handler sees."""
        self._session.note_counts()
        self.sink.drain(STOP_SECONDS)

    def session(self) -> SessionLane:
        """The session of this process."""
        return self._session

    def responder(self, plugin: str) -> None:
        """What answers the calls of an integration; None when they go out."""
        return

    def wants_body(self, request: Request) -> bool:
        """Whether the entry's seam must read the whole body before it opens the lane."""
        return False

    def open_lane(self, request: Request) -> Lane | None:
        """Begin an entry."""
        if self.selection.excludes(request):
            return None
        self._session.is_server()
        return RecordingLane(self, request)

    def begin(self, name: str, attributes: Mapping[str, spans.Attribute]) -> Call | None:
        """Start a span of our own for a call whose instrumentor is absent or was installed too late."""
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=dict(attributes))
        call = pending.get()
        return call if call is not None and call.span is span else None

    @cached_property
    def _tracer(self) -> Tracer:
        return self.provider.get_tracer(spans.TRACER_NAME)  # takes longer than the span

    def complete(self, call: Call) -> None:
        """Take the payloads of a call that has them all."""
        if self.leaving is not None and call.span.is_recording():
            self.leaving.complete(call)

    def late(
        self, call: Call, kind: str, attributes: Callable[[], Iterable[dict[str, spans.Attribute]]], size: int
    ) -> None:
        """Take a payload that completed after its span."""
        payload_spans.emit(self, call, kind, attributes, size)

    def emit_entry(self, lane: RecordingLane) -> None:
        """Send what the entry's seam saw by the host's exporters: a child span, because the entry's may have ended."""
        if self.leaving is None or lane.entry is None or lane.request is None or lane.abandoned:
            return
        self.leaving.send_entry(lane.entry, {**lane.drawn, **lane_size.entry(lane, lane.request)})

    def keeps(self, lane: RecordingLane) -> bool:
        """Whether a finished lane is written."""
        if not self.selection.everything and not self.selection.ends(lane):
            return False
        if self.memory.used > self.memory.high or self.retention.pressure:
            return self._survives(lane)
        return True

    def _survives(self, lane: RecordingLane) -> bool:
        """Whether a lane is kept near a limit: the nearer, the fewer are, and those that stand out to the last."""
        memory = (self.memory.used - self.memory.high) / (self.memory.limit - self.memory.high)
        pressure = max(memory, self.retention.pressure)
        # Not the digits that the sample rate goes by: those that it kept are the low ones.
        if int(lane.id[8:16], 16) / 2**32 >= pressure or (pressure < 1.0 and self.selection.stands_out(lane)):
            return True
        self.tally.drop(PRESSURE, f"{pressure:.0%} of what is left before a limit is used")
        return False

    def latest(self, path: Path) -> None:
        """Let ``latest.jsonl`` lead to a lane soon: twenty times a second at most, or traffic would pay for it."""
        self.sink.soon(lambda: storage.point_latest(self.settings.dir, path))

    def line(self, ended: Sequence[tuple[InstrumentationScope | None, bytes]], resource: bytes | None = None) -> bytes:
        """Put encoded spans into one line of a cassette.

        Args:
            ended: the spans with their scopes.
            resource: of the line; that of a lane when None.
        """
        encoding.look()
        return otlp.traces_line(resource or self.description().lane, ended)

    def description(self) -> Description:
        """What lines say of this process; made anew when modules were imported since."""
        imported = len(sys.modules)
        if self._description is None or self._description[0] != imported:
            own = {**describe_process(self.settings), **self._session.resource_attributes()}
            self._description = (imported, Description(self.provider.resource.attributes, own))
        return self._description[1]


def _same(span: ReadableSpan, entry: Span) -> bool:
    context = span.get_span_context()
    return context is not None and context.span_id == entry.get_span_context().span_id


def _size(message: Request | Response | None) -> int:
    return 0 if message is None else sum(map(len, message.body))
