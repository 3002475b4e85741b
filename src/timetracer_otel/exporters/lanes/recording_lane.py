"""The lane of an entry that is being recorded: collected while it is open, one file when its outcome is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import SpanContext, StatusCode

from timetracer_otel import spans
from timetracer_otel.cassette import naming, otlp, storage
from timetracer_otel.exporters.host.otlp_sender import ATTRIBUTE
from timetracer_otel.exporters.host.secrets import hidden
from timetracer_otel.exporters.lanes.encoded_span import Ended, own_span, unended
from timetracer_otel.exporters.lanes.output import Output
from timetracer_otel.exporters.lanes.parts import Part, Spill
from timetracer_otel.exporters.lanes.recorded_lane import Attributes, RecordedLane, new_id
from timetracer_otel.exporters.lanes.remains import Left, Remains
from timetracer_otel.exporters.lanes.selection import Selection
from timetracer_otel.exporters.writing.losses import DISK, MEMORY, PRESSURE
from timetracer_otel.seams import Bequest, Call, Entry, Message, faults

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

__all__ = ["RecordingLane"]

GRAIN: Final = 64 * 1024
"""Bytes that a lane may hold before they are counted."""
SPILL_BYTES: Final = 1024 * 1024
"""Bytes that an open lane holds in memory at most; more goes to its ``.part`` file."""
LOOK_MASK: Final = 31
"""Each 32nd span of a lane is when its spans are weighed: weighing each would cost every request."""
SPAN_OVERHEAD: Final = 200
"""Bytes of the objects around an encoded span."""
SETTLE_SECONDS: Final = 2.0
"""How long who acknowledges an entry may wait for a large lane; on an event loop others would wait too."""
LATE: Final = 1_000_000
"""Nanoseconds from which on an entry's end is told beside that of its span."""
_now = time.time_ns


class RecordingLane(RecordedLane):
    """A lane that is being recorded. ``ended`` holds what is not written yet.

    Args:
        output: what it is written with.
        selection: which lanes are kept.
        entry: what started it.
        bequest: where one process goes on when another is killed; None of most lanes.
    """

    entry: Entry

    # Class defaults: most lanes never set these.
    held = 0
    """Bytes held that are known."""
    counted = 0
    """How many of them are counted in the memory of the recording."""
    looked = 0
    """How many spans of ``ended`` were encoded and weighed."""
    waiting = 0
    """Bytes of payload in those that were not."""
    chunks: dict[str, int] | None = None
    """How many chunks each message has left in."""
    abandoned = False
    took = 0
    """Nanoseconds until the outcome was there."""
    triggered = False
    share: float | None = None
    """The share of such lanes that is kept, when it is known already."""
    remains: Remains | None = None
    inherits = False
    """Whether it ends what another process has begun."""

    def __init__(self, output: Output, selection: Selection, entry: Entry, bequest: Bequest | None = None) -> None:
        super().__init__(output, entry)
        if bequest is not None:
            self.id, self.inherits = bequest.lane_id, bequest.is_heir
            self.start = bequest.began or self.start
            self.remains = Remains(output.settings, self.id)
        self.selection = selection
        self.ended: list[Ended] = []
        self.entry_span: Span | None = None
        self.ended_entry: ReadableSpan | None = None
        self.error: BaseException | None = None
        self.failed = False
        self.finished = False
        self.written = False
        # ``begins`` also masks the trigger header, so it runs even when nothing is kept.
        self.kept = selection.begins(self) and output.settings.files
        self.spill = Spill(output.settings, self.id)
        if self.kept or output.settings.span_payloads:
            self.note_draws()

    def finish(self, error: BaseException | None) -> None:
        """Take the outcome; write once the entry's span has ended too."""
        self.error, self.finished = error, True
        self.took = _now() - self.start
        if self.chunks is not None:
            self._send_rest_of_bodies()
        self._send_entry()
        if self.entry_span is None or not self.entry_span.is_recording():
            self.write()
            return
        # ASGI instrumentors end the entry's span right after our send returned, within this step of the loop.
        try:
            asyncio.get_running_loop().call_soon(self.write)
        except RuntimeError:
            self.write()

    def settle(self) -> None:
        """Wait until what was written is on the disk, however large: the process may be killed from here on."""
        if asyncio._get_running_loop() is None:  # noqa: SLF001 - public in C only, and never raises
            self.output.sink.settle(self.id, SETTLE_SECONDS)

    def add(self, span: ReadableSpan, call: Call | None) -> None:
        """Take an ended span; write when it was the last thing that the lane waited for."""
        if not self.kept:
            return
        if span.status.status_code is StatusCode.ERROR:
            self.failed = True
        if call is None and self.entry_span is not None and _same(span, self.entry_span):
            self._end_entry(span)
        else:
            self._take(span, call)

    def _take(self, span: ReadableSpan, call: Call | None) -> None:
        leaves = self.remains is not None and not self.inherits
        ended = Ended.of(self, span, call) if leaves else Ended.waiting(self, span, call)
        self.ended.append(ended)
        if self.written:  # asked only now: another thread may have written the lane meanwhile
            self._append_rest()
            return
        if self.remains is not None and leaves:
            self._leave(ended, self.remains)
        self.waiting += ended.size()
        if self.waiting > GRAIN or not len(self.ended) & LOOK_MASK:
            self._weigh()

    def _leave(self, ended: Ended, remains: Remains) -> None:
        """Bring a call to the disk at once: this process may be killed."""
        if ended.call is None or not ended.call.under_way:
            context = self.entry_context
            ids = f"{context.trace_id:032x}", f"{context.span_id:016x}"

            def write() -> None:
                remains.add(self.output.line([(ended.scope, ended.fragment(self))]), ids)

            self.output.sink.submit(self.id, ended.size(), write)

    def _end_entry(self, span: ReadableSpan) -> None:
        if self.written:
            self._append(Ended.of(self, span, None))
            self.flush_draws()
            return
        self.ended_entry = span
        if self.finished:
            self.write()

    def write(self) -> None:
        """Write the whole lane, once."""
        if self.written:
            return
        self.written = True
        ended = self._take_ended()
        output = self.output
        self.kept = self.kept and self._stays()
        if self.counted:
            output.memory.take(-self.counted)
        if self.kept:
            ended = self._settled(ended)
            size = sum(map(_size, self.entry.messages)) + sum(one.size() for one in ended)
            if output.sink.slow:  # even small ones will wait, and many
                size += _weight(ended)
            self.kept = output.sink.submit(self.id, size, lambda: self._write(ended), is_lane=True)
        if not self.kept:
            output.sink.submit(self.id, 0, self._discard)  # behind the parts that still wait
            self.draws = None

    def until_now(self) -> bytes:
        """Give the lines of the calls that have ended, while the lane is open. Those under way are left out."""
        whole = [(one.scope, one.fragment(self)) for one in self.ended[:] if one.call is None or not one.call.under_way]
        return storage.compress(self.output.line(whole), self.output.settings.compression) + self.spill.read()

    def _stays(self) -> bool:
        """Whether the finished lane is written: near a limit the fewer are, and those that stand out to the last."""
        memory, retention = self.output.memory, self.output.retention
        if not self.selection.everything and not self.selection.ends(self):
            return False
        if memory.used <= memory.high and not retention.pressure:
            return True
        pressure = max((memory.used - memory.high) / (memory.limit - memory.high), retention.pressure)
        # Not the digits that the sample rate goes by: those that it kept are the low ones.
        if int(self.id[8:16], 16) / 2**32 >= pressure or (pressure < 1.0 and self.selection.stands_out(self)):
            return True
        self.output.tally.drop(PRESSURE, f"{pressure:.0%} of what is left before a limit is used")
        return False

    def abandon(self, reason: str, detail: object) -> None:
        """Give the whole lane up, once.

        Args:
            reason: a word of :mod:`timetracer_otel.exporters.writing.losses`.
            detail: for the log.
        """
        if self.abandoned:
            return
        self.abandoned, self.kept, self.draws = True, False, None
        self.output.tally.drop(reason, detail)
        self.ended.clear()
        self.output.memory.take(-self.counted)
        self.held = self.counted = 0
        self.output.sink.submit(self.id, 0, self._discard)

    # Its size: what an open lane holds is counted, and leaves for the disk before it is much.

    def grew(self, message: Message, size: int) -> None:
        """Take note that a message of the entry has grown."""
        self._hold(size, message)

    def _weigh(self) -> None:
        """Encode and weigh the spans that have ended since the last look."""
        new = self._settled(self.ended[self.looked :])
        self.looked += len(new)
        self.waiting = 0
        self._hold(_weight(new))

    def _settled(self, ended: list[Ended]) -> list[Ended]:
        """Encode what waits; the same without what cannot be encoded, which the lane does without."""
        for one in ended[:]:
            try:
                one.settle(self)
            except Exception as error:  # noqa: BLE001 - recording never breaks the app
                ended.remove(one)
                with suppress(ValueError):  # it is being written
                    self.ended.remove(one)
                faults.report("lane.encode", error)
        return ended

    def _hold(self, size: int, message: Message | None = None) -> None:
        """Count bytes that the open lane holds from now on: of ``message`` when it is given, else of spans."""
        self.held += size
        if self.held - self.counted < GRAIN:
            return
        output = self.output
        if self.abandoned or not (self.kept or output.settings.span_payloads):
            if message is not None:
                message.body.clear()  # nobody will write it
            self.held = 0
            return
        if self.held >= SPILL_BYTES:
            with output.relieving:
                self._relieve()
        if output.memory.take(self.held - self.counted):
            self.counted = self.held
        else:
            self.abandon(MEMORY, f"{output.memory.used} bytes are held")

    def _take_ended(self) -> list[Ended]:
        """Take the spans that have ended, one by one: other threads of the lane may be adding and taking meanwhile."""
        taken = []
        with suppress(IndexError):
            while True:
                taken.append(self.ended.pop())
        return taken[::-1]

    def _relieve(self) -> None:
        """Bring what is held to the ``.part`` file, and messages to other exporters that get payloads."""
        taken = self._take_ended()
        self.looked = 0
        if taken and not self.output.sink.submit(self.id, _weight(taken), partial(self._spill, taken)):
            self.abandon(MEMORY, "the writer has too much to do")
        self.held = 0
        messages = self.entry.messages
        # A chunk needs the span that it belongs to: before the outcome begins, an instrumentor's may still come.
        has_span = self.entry_span is not None or len(messages) > 1
        for one in messages:
            self.held += self._relieve_body(one) if has_span else _size(one)

    def _spill(self, taken: Sequence[Ended]) -> None:
        try:
            self.spill.write(self.output.line([(one.scope, one.fragment(self)) for one in taken]))
        except BaseException as error:
            self.abandon(DISK, error)
            raise

    def _relieve_body(self, message: Message, least: int = GRAIN) -> int:
        """Send a body's bytes away as chunks, unless they are few; the bytes that stay."""
        size = _size(message)
        if size < least:
            return size
        pieces = message.body[:]
        del message.body[: len(pieces)]
        data = b"".join(pieces)
        for start in range(0, max(len(data), 1), ATTRIBUTE):
            self._send_chunk(message.payload, data[start : start + ATTRIBUTE])
        return 0

    def _send_chunk(self, name: str, data: bytes) -> None:
        chunks = self.chunks = self.chunks or {}
        index = chunks[name] = chunks.get(name, 0) + 1
        place: Attributes = {spans.PART_OF: name, spans.PART_INDEX: index - 1}
        leaving, at = self.output.leaving, _now()

        def encoded() -> Iterator[Attributes]:
            yield place | spans.encode_payload(name, data)

        def fragments() -> Iterator[bytes]:
            parent = self.entry_context
            for attributes in encoded():
                part = own_span("timetracer.chunk", parent.trace_id, self.output.provider.resource, (at, at), parent)
                yield otlp.span_fragment(part, {spans.LANE_ID: self.id, spans.PART: "chunk", **attributes})

        if leaving is not None and self.entry_span is not None:
            leaving.submit(self.entry_span, encoded, len(data))  # counts by itself what it cannot send
        if self.kept:
            lost = partial(self.abandon, DISK, "a part of its body")
            if not self.add_part(Part(None, len(data), fragments, lost)):
                self.abandon(MEMORY, "the writer has too much to do")

    def _send_rest_of_bodies(self) -> None:
        """Send what is left of the messages that have left in chunks: nothing more will come."""
        for message in self.entry.messages:
            if message.body and message.payload in (self.chunks or {}):
                self._relieve_body(message, least=1)

    # Its file

    def add_part(self, part: Part) -> bool:
        """Take a part of a call: beside the lane while it is open, behind it afterwards; whether it was taken."""
        return not self.kept or self.output.sink.submit(self.id, part.size, lambda: part.write(self._add_line))

    def _add_line(self, fragment: bytes, scope: InstrumentationScope | None) -> None:
        self.spill.write(self.output.line([(scope, fragment)]))

    def _append_rest(self) -> None:
        """Add spans that ended after the lane was written: a background task's."""
        for ended in self._take_ended():
            self._append(ended)
        self.flush_draws()

    def _append(self, ended: Ended) -> None:
        self.output.sink.submit(self.id, ended.size(), lambda: self._add_line(ended.fragment(self), ended.scope))

    def _write(self, ended: list[Ended]) -> None:
        try:
            self._write_whole(ended)
        except BaseException:
            self.kept, self.draws = False, None
            self._discard()
            raise

    def _write_whole(self, ended: list[Ended]) -> None:
        entry, settings = self.entry, self.output.settings
        left = self.remains.take() if self.remains is not None and self.inherits else Left()
        if left.path is not None:
            self._go_on(left.path, ended)
            return
        if left.context is not None:
            trace_id, span_id = (int(one, 16) for one in left.context)
            self.entry_context = SpanContext(trace_id, span_id, is_remote=False)
        span = self.ended_entry or self._unended_entry()
        context = span.get_span_context()
        if context is None or self.abandoned:
            return
        path = naming.lane_path(
            settings.dir,
            self.start,
            entry.method,
            self.route(span) or entry.path,
            f"{context.trace_id:032x}",
            f"{context.span_id:016x}",
            settings.compression,
        )
        extra = {spans.LANE_ID: self.id, **self.drawn, **self._entry_attributes()}
        whole = [(one.scope, one.fragment(self)) for one in ended]
        whole.append((span.instrumentation_scope, otlp.span_fragment(hidden(span), extra)))
        data = storage.compress(self.output.line(whole) + left.lines, settings.compression)
        if (is_exit := isinstance(self.error, SystemExit)) and self.remains is not None:
            self.remains.lead_to(path)
        self.spill.write_whole(path, data)
        if self.remains is not None and not is_exit:
            self.remains.discard()
        self.output.wrote(path, len(data))

    def _go_on(self, path: Path, ended: list[Ended]) -> None:
        """Put what came behind the end of another process into the file that it has written."""
        self.spill.go_on(path)
        for one in ended:
            self._add_line(one.fragment(self), one.scope)
        for scope, fragment in self.draw_fragments():
            self._add_line(fragment, scope)
        if self.remains is not None:
            self.remains.discard()

    def _discard(self) -> None:
        with suppress(OSError):  # what cannot be written can perhaps not be removed
            self.spill.discard()
            if self.remains is not None:
                self.remains.discard()

    # Its entry

    def _send_entry(self) -> None:
        """Send what the entry's seam saw by the host's exporters: a child span, because the entry's may have ended."""
        leaving = self.output.leaving
        if leaving is not None and self.entry_span is not None and not self.abandoned:
            leaving.send_entry(self.entry_span, {**self.drawn, **self._entry_attributes()})

    def _entry_attributes(self) -> Attributes:
        """Encode what the entry's seam saw; of a message that left in chunks, how many they are."""
        attributes = self.entry.attributes(self.error)
        attributes |= self._late_end()
        for name, count in (self.chunks or {}).items():
            for ending in ("", ".codec", ".size"):
                attributes.pop(name + ending, None)
            attributes[name + spans.PARTS] = count
        return attributes

    def _late_end(self) -> Attributes:
        """Say when the entry was over, where its span ended before: of a streamed response it knows the beginning."""
        span = self.ended_entry
        over = self.start + self.took
        return {spans.ENDED: over} if span is not None and over - (span.end_time or over) >= LATE else {}

    @cached_property
    def drawn(self) -> Attributes:
        """What was drawn until it is first asked for; the later is flushed."""
        return self.take_draws()

    def route(self, entry: ReadableSpan | Span | None = None) -> str | None:
        """The route that an instrumentor has found, if any."""
        span = entry or self.ended_entry or self.entry_span
        route = (span.attributes or {}).get("http.route") if span is not None else None
        return route if isinstance(route, str) else None

    @cached_property
    def entry_context(self) -> SpanContext:
        """Of the entry's span: an instrumentor's, else of the one that we make at the end."""
        if self.entry_span is not None:
            return self.entry_span.get_span_context()
        return SpanContext(int.from_bytes(new_id(16), "big"), int.from_bytes(new_id(8), "big"), is_remote=False)

    def _unended_entry(self) -> ReadableSpan:
        kind, name = self.entry.span_kind, f"{self.entry.method} {self.entry.path}"
        return unended(self.entry_span, kind, name, self.entry_context, self.output.provider.resource, self.start)


def _same(span: ReadableSpan, entry: Span) -> bool:
    context = span.get_span_context()
    return context is not None and context.span_id == entry.get_span_context().span_id


def _size(message: Message) -> int:
    return sum(map(len, message.body))


def _weight(ended: Sequence[Ended]) -> int:
    """Bytes that ended spans hold, about."""
    encoded = [one.encoded for one in ended if one.encoded is not None]
    return sum(map(len, encoded)) + sum(one.size() + SPAN_OVERHEAD for one in ended)
