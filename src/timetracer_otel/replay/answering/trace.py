"""The replay's own trace, written as cassettes of its own that name the recorded lanes and calls they follow."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanContext, SpanKind

from timetracer_otel import spans
from timetracer_otel.cassette import model, naming, otlp, storage
from timetracer_otel.errors import TimetracerError
from timetracer_otel.seams import (
    Call,
    Entry,
    Lane,
    branches,
    faults,
    lane_of,
    mark,
    pending,
    tracing,
)

if TYPE_CHECKING:
    from opentelemetry.context import Context

__all__ = [
    "REPLAY_ASKED",
    "REPLAY_CALL",
    "REPLAY_HOW",
    "REPLAY_KEY",
    "REPLAY_OF",
    "Tracing",
    "answered",
    "attach",
    "missed",
]

REPLAY_OF: Final = "timetracer.replay.of"
"""On an entry: the recorded lane that it follows, to whose entry it is linked too."""
REPLAY_CALL: Final = "timetracer.replay.call"
"""On a call: the recorded span that answered it."""
REPLAY_HOW: Final = "timetracer.replay.how"
REPLAY_ASKED: Final = "timetracer.replay.asked"
"""On a call that is not exactly the recorded one: what it asked, as JSON."""
REPLAY_KEY: Final = "timetracer.replay.key"
"""On a call that nothing answered: its readable address, as JSON."""

_CALLS: Final = (SpanKind.CLIENT, SpanKind.PRODUCER)
_ENTRIES: Final = (SpanKind.SERVER, SpanKind.CONSUMER)
_REQUEST: Final = (spans.REQUEST, spans.REQUEST + ".codec", spans.REQUEST + ".size")
_new_id: Final = os.urandom  # as it is now: what the app draws is replayed
_now: Final = time.time_ns


class _Tape:
    """One live lane's cassette: lines are appended as its spans end."""

    def __init__(self, folder: Path, entry: Entry | None, lane_id: str) -> None:
        self.id = lane_id
        self.start = _now()
        self.entry_span: Span | None = None
        self._folder = folder
        self._entry = entry
        self._path: Path | None = None

    def path(self, span: ReadableSpan) -> Path:
        """The file, named when the first span is written."""
        if self._path is None:
            context, entry = span.get_span_context(), self._entry
            trace_id = f"{context.trace_id if context else 0:032x}"
            span_id = f"{context.span_id if context else 0:016x}"
            if entry is None:
                self._path = naming.session_path(self._folder, self.start, "replay", self.id, "none")
            else:
                self._path = naming.lane_path(
                    self._folder, self.start, entry.method, entry.path, trace_id, span_id, "none"
                )
        return self._path


class Tracing(SpanProcessor):
    """Writes each span of a replay when it ends.

    Args:
        folder: for the cassettes.
        current: gives the lane that a context belongs to, or the session.
        provider: the host's.
    """

    def __init__(self, folder: Path, current: Callable[[Context | None], Lane], provider: TracerProvider) -> None:
        self._folder = folder
        self._current = current
        self._provider = provider
        self._tapes: WeakKeyDictionary[Lane, _Tape] = WeakKeyDictionary()
        self._open: dict[int, tuple[Lane, Call | None]] = {}
        self._session_id = _new_id(16).hex()

    def tape(self, lane: Lane) -> _Tape:
        """The cassette of a live lane."""
        if lane not in self._tapes:
            lane_id = self._session_id if lane.is_session else _new_id(16).hex()
            self._tapes[lane] = _Tape(self._folder, lane.entry, lane_id)
        return self._tapes[lane]

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note which lane a span belongs to; a call also gets its payloads from what answers it."""
        lane = self._current(parent_context)
        mark(span, lane)
        call = None
        if span.kind in _CALLS:
            call = Call(span, lane)
            if trail := branches.trail(lane):
                call.attributes[spans.BRANCH] = trail
            pending.set(call)
        tape = self.tape(lane)
        if span.kind in _ENTRIES and tape.entry_span is None and not lane.is_session:
            tape.entry_span = span
            _link(span, lane)
        self._open[span.get_span_context().span_id] = (lane, call)

    def on_end(self, span: ReadableSpan) -> None:
        """Write a span."""
        context = span.get_span_context()
        lane, call = self._open.pop(context.span_id if context else 0, (None, None))
        if lane is not None:
            self._write(lane, span, dict(call.attributes) if call is not None else {})

    def finish(self, lane: Lane, entry: Entry, error: BaseException | None) -> None:
        """Write what an entry's seam saw; as a part of the entry's span, or as that span when nobody made one.

        Args:
            lane: that ends.
            entry: what started it, and what came of it.
            error: what left the app.
        """
        tape = self.tape(lane)
        parent = None if tape.entry_span is None else tape.entry_span.get_span_context()
        trace_id = int.from_bytes(_new_id(16), "big") if parent is None else parent.trace_id
        span = ReadableSpan(
            name=f"{entry.method} {entry.path}",
            context=SpanContext(trace_id, int.from_bytes(_new_id(8), "big"), is_remote=False),
            parent=parent,
            resource=self._provider.resource,
            kind=entry.span_kind if parent is None else SpanKind.INTERNAL,
            start_time=tape.start,
            end_time=_now(),
        )
        attributes = entry.attributes(error) | _following(lane)
        self._write(lane, span, attributes if parent is None else {spans.PART: "entry", **attributes})

    def _write(self, lane: Lane, span: ReadableSpan, extra: dict[str, spans.Attribute]) -> None:
        tape = self.tape(lane)
        resource = otlp.resource_fragment({**self._provider.resource.attributes, spans.SESSION_ID: self._session_id})
        fragment = otlp.span_fragment(span, {**extra, spans.LANE_ID: tape.id})
        try:
            storage.append(tape.path(span), otlp.traces_line(resource, [(span.instrumentation_scope, fragment)]))
        except TimetracerError as error:
            faults.report("replay.trace", error)


def answered(recorded: model.Span, how: str, asked: Callable[[], object]) -> None:
    """Put a recorded call's payloads on the live span that it answers.

    Args:
        recorded: the call.
        how: it matched.
        asked: renders the live call.
    """
    call = pending.get()
    if call is None or REPLAY_HOW in call.attributes:
        return
    ours = {name: value for name, value in recorded.attributes.items() if name.startswith("timetracer.")}
    ours.pop(spans.BRANCH, None)
    call.attributes |= {name: value for name, value in ours.items() if isinstance(value, str | int | float | bool)}
    call.attributes |= {REPLAY_CALL: recorded.span_id, REPLAY_HOW: how}
    if how in {"shape", "translated", "nearest", "nearest again"}:
        for name in _REQUEST:
            call.attributes.pop(name, None)
        call.attributes[REPLAY_ASKED] = json.dumps(asked(), default=str)


def missed(key: Sequence[str], asked: object) -> None:
    """Say on the live span that nothing answered it.

    Args:
        key: its readable address.
        asked: what it asked, JSON-like.
    """
    call = pending.get()
    if call is not None and REPLAY_HOW not in call.attributes:
        call.attributes |= {
            REPLAY_HOW: "miss",
            REPLAY_KEY: json.dumps(list(key)),
            REPLAY_ASKED: json.dumps(asked, default=str),
        }


def _link(span: Span, lane: Lane) -> None:
    recorded: model.Lane | None = getattr(lane, "recorded", None)
    if recorded is not None and recorded.entry is not None:
        entry = recorded.entry
        span.add_link(SpanContext(int(entry.trace_id, 16), int(entry.span_id, 16), is_remote=True))


def _following(lane: Lane) -> dict[str, spans.Attribute]:
    recorded: model.Lane | None = getattr(lane, "recorded", None)
    return {} if recorded is None else {REPLAY_OF: recorded.id}


def attach(folder: Path, session: Callable[[], Lane]) -> Tracing:
    """Write the trace of this process from now on.

    Args:
        folder: for the cassettes.
        session: gives the session of this process.

    Raises:
        ConfigError: the tracer provider is not the SDK's.
    """
    provider = tracing.host_provider()
    writing = Tracing(folder, lambda context: lane_of(context) or session(), provider)
    tracing.attach(provider, writing, tracing.RecordAll)
    return writing
