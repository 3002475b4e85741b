"""The session of a recorded process: what happens outside any entry, what it printed and how it ended."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from timetracer_otel import spans
from timetracer_otel.cassette import otlp, storage
from timetracer_otel.errors import CassetteError
from timetracer_otel.exporters.host.otlp_sender import Leaving
from timetracer_otel.exporters.lanes.encoded_span import Ended, own_span
from timetracer_otel.exporters.lanes.output import Output
from timetracer_otel.exporters.lanes.parts import Part
from timetracer_otel.exporters.lanes.recorded_lane import RecordedLane
from timetracer_otel.exporters.lanes.resource import program_name
from timetracer_otel.exporters.writing.retention import hold
from timetracer_otel.seams import Call, Entry, children, exceptions, places, streams
from timetracer_otel.seams.streams import Passed

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

__all__ = ["SessionLane"]

_now = time.time_ns


class SessionLane(RecordedLane):
    """All calls of one process that belong to no entry, appended to one file as they end.

    Args:
        output: what it is written with.
        parent_id: session of the process that started this one.
        place: which of its children this one is, see :data:`spans.SESSION_PLACE`.
    """

    def __init__(self, output: Output, parent_id: str | None, place: str = "") -> None:
        super().__init__(output, None)
        self.parent_id = parent_id
        self.place = place
        children.become_parent(self.id)
        self.path: Path | None = None
        self._described = b""
        """What the file says of the process until now."""
        self._beginning = threading.Lock()
        self._held: dict[Call, Ended] = {}
        self._lock: int | None = None
        self._noted: dict[str, spans.Attribute] = {}
        self.passed: Passed | None = None
        """What passed through the standard streams; None of a process that is no script."""
        self.exit_status: int | None = None
        self.command: Entry | None = None
        """The process as an entry, where that was asked for."""
        self.note_draws()
        output.session_attributes = self._identity()

    def _identity(self) -> dict[str, spans.Attribute]:
        attributes: dict[str, spans.Attribute] = {spans.SESSION_ID: self.id}
        if self.parent_id is not None:
            attributes[spans.SESSION_PARENT_ID] = self.parent_id
        if self.place:
            attributes[spans.SESSION_PLACE] = self.place
        return attributes

    def finish(self, error: BaseException | None) -> None:
        """A session has no outcome; it ends with its process."""

    def add(self, span: ReadableSpan, call: Call | None) -> None:
        """Append an ended span; a call of which a payload is still on its way when that is there, or at the end."""
        if self.output.settings.files:
            ended = Ended.of(self, span, call)
            if call is None or call.under_way is None:
                self._submit(ended)
                return
            self._held[call] = ended
            self._release_complete(call)
        self.flush_draws()

    def release(self, call: Call) -> bool:
        """Append a call that was held back; whether it was."""
        ended = self._held.pop(call, None)
        if ended is not None:
            self._submit(ended)
        return ended is not None

    def _release_complete(self, call: Call) -> None:
        """For a call that was completed by another thread while it was put aside."""
        if call.under_way is None:
            self.release(call)

    def _submit(self, ended: Ended) -> None:
        draws = self.draw_fragments()  # in the same line: what it says of the process is longer than both
        self.output.sink.submit(
            self.id,
            ended.size(),
            lambda: self._append([(ended.scope, ended.fragment(self)), *draws]),
        )

    def add_part(self, part: Part) -> bool:
        """Append a part of a call; whether it was taken."""
        if not self.output.settings.files:
            return True
        return self.output.sink.submit(self.id, part.size, lambda: part.write(self._add_line))

    def _add_line(self, fragment: bytes, scope: InstrumentationScope | None) -> None:
        self._append([(scope, fragment)])

    def _append(self, ended: Sequence[tuple[InstrumentationScope | None, bytes]], *, whole: bool = False) -> None:
        """Add a line, which describes the process when that is new, or asked for by ``whole``."""
        description = self.output.description()
        is_new = whole or self._described != description.session
        line = self.output.line(ended, description.session if is_new else description.brief)
        self._write(storage.compress(line, self.output.settings.compression))
        self._described = description.session

    def _write(self, data: bytes) -> None:
        settings = self.output.settings
        with self._beginning:  # of two threads, one begins the file
            if self.path is None:
                path = storage.session_path(
                    settings.dir, self.start, program_name(), self.id, settings.compression, self.place
                )
                storage.write_whole(path, data)
                self.path = path
                self._lock = hold(path)
                return
        storage.append(self.path, data)

    def forked(self) -> SessionLane:
        """Give the session of a child that was forked from this process."""
        child = SessionLane(self.output, self.id, places.forked())
        child.passed = None if self.passed is None else Passed()
        return child

    def took(self, name: str, data: bytes) -> None:
        """Take what passed through a standard stream.

        Args:
            name: the stream's attribute.
            data: the bytes.
        """
        if self.passed is not None:
            self.passed.add(name, data)

    def end(self) -> None:
        """Write the session's own span, what it printed and its exit status, and what was held back."""
        if self.passed is not None and not streams.flush():
            self.exit_status = None
        self._end()

    def killed(self, number: int) -> None:
        """Write the same of a command that a signal is about to end: it is an entry, and has an outcome.

        Text that waits in the streams is lost with the process, and the main thread may hold their locks.

        Args:
            number: of the signal.
        """
        if self._as_entry is not None:
            self.exit_status = exceptions.BY_SIGNAL + number
            self._end()

    @property
    def _as_entry(self) -> Entry | None:
        """The process as an entry; None of one that has turned out to be a server."""
        return self.command if self.passed is not None else None

    def _end(self) -> None:
        for call in list(self._held):
            call.abandon()
            self.release(call)
        if self.output.leaving is not None and self.passed is not None:
            self._send_own(self.output.leaving)
        is_script = self.passed is not None
        # The sessions of others that it started belong to it; how it ended is expected of its replay.
        is_known = self.path is not None or places.has_started() or bool(self.exit_status)
        if self.output.settings.files and (is_known or is_script or self.draws_wait or self.output.tally.attributes()):
            size = 0 if self.passed is None else self.passed.size
            self.output.sink.submit(self.id, size, self._write_own)

    def _send_own(self, leaving: Leaving) -> None:
        """Send the same by the host's exporters."""
        tracer = self.output.provider.get_tracer(spans.TRACER_NAME)
        span = tracer.start_span(_own_name(), context=Context(), start_time=self.start, kind=self._kind)
        span.set_attributes(dict(leaving.lighten(span, self._own())))
        span.end()

    def _write_own(self) -> None:
        # Encoded only now: what was dropped until its turn came is in it.
        span = self._span(_own_name(), self.start, self._kind)
        self._append([(None, otlp.span_fragment(span, self._own()))], whole=True)
        if self.passed is not None and self.parent_id is None and self.path is not None:
            with suppress(CassetteError):  # what was recorded is there
                storage.point_latest(self.output.settings.dir, self.path, began=self.start)

    def touch(self) -> None:
        """Let the file be as young as the lanes of this process: no retention shall remove it before them."""
        if self.path is not None:
            with suppress(OSError):
                os.utime(self.path)

    def note_counts(self) -> None:
        """Leave the counts of what was lost or late in the file, when they have changed: the process may be killed.

        A process that has started others has a file in any case, without which nobody knows whose children they are.
        """
        self.output.tally.remind()
        counts = self.output.tally.attributes()
        is_parent = self.path is None and places.has_started()
        if self.output.settings.files and (counts != self._noted or is_parent):
            fragment = otlp.span_fragment(self._span("timetracer.counts", _now()), {spans.LANE_ID: self.id, **counts})
            with suppress(CassetteError):  # nothing can be written yet: next time
                self._append([(None, fragment)])
                self._noted = counts

    def _own(self) -> dict[str, spans.Attribute]:
        attributes: dict[str, spans.Attribute] = {spans.LANE_ID: self.id, **self.take_draws()}
        attributes |= self.output.tally.attributes()
        if self.exit_status is not None:
            attributes[spans.SESSION_EXIT_STATUS] = self.exit_status
        if self.passed is not None:
            attributes |= self.passed.attributes()
        if self._as_entry is not None:
            attributes |= self._as_entry.attributes(getattr(sys, "last_value", None))
        return attributes

    @property
    def _kind(self) -> SpanKind:
        return SpanKind.INTERNAL if self._as_entry is None else self._as_entry.span_kind

    def _span(self, name: str, start: int, kind: SpanKind = SpanKind.INTERNAL) -> ReadableSpan:
        return own_span(name, int(self.id, 16), self.output.provider.resource, (start, _now()), kind=kind)


def _own_name() -> str:
    return spans.SESSION_SPAN + program_name()
