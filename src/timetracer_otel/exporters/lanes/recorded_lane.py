"""A lane that is recorded, be it an entry's or a process's session: its draws, and payloads that completed late."""

from __future__ import annotations

import os
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from opentelemetry import trace
from opentelemetry.context import Context

from timetracer_otel import spans
from timetracer_otel.cassette import otlp
from timetracer_otel.exporters.lanes.encoded_span import own_span
from timetracer_otel.exporters.lanes.output import Output
from timetracer_otel.exporters.lanes.parts import Part
from timetracer_otel.nondeterminism import Noted, attributes
from timetracer_otel.seams import Call, Entry, Lane, faults
from timetracer_otel.seams.lanes import process

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

__all__ = ["Attributes", "Fragments", "RecordedLane", "new_id"]

Attributes: TypeAlias = dict[str, spans.Attribute]
Fragments: TypeAlias = list[tuple["InstrumentationScope | None", bytes]]
"""Encoded spans with the scopes that made them."""
new_id = os.urandom  # not random: an app's seeded draws stay as they are
_now = time.time_ns


class RecordedLane(Lane):
    """The base of the lanes of entries and of sessions.

    Args:
        output: what it is written with.
        entry: what started it; None for a session.
    """

    def __init__(self, output: Output, entry: Entry | None) -> None:
        super().__init__(new_id(16).hex(), entry)
        self.output = output
        self.start = _now()

    @abstractmethod
    def add(self, span: ReadableSpan, call: Call | None) -> None:
        """Take an ended span.

        Args:
            span: of this lane.
            call: its payloads, when it is a call.
        """

    @abstractmethod
    def add_part(self, part: Part) -> bool:
        """Take what goes into the file beside ended spans; whether it was taken."""

    def release(self, call: Call) -> bool:
        """Write a call that was held back, if it was."""
        return False

    # Payloads

    def complete(self, call: Call) -> None:
        """Put the payloads of a call on its span, where they leave by the host's exporters."""
        leaving = self.output.leaving
        if leaving is not None and call.span.is_recording():
            leaving.complete(call)

    def late(self, call: Call, kind: str, attributes: Callable[[], Iterable[Attributes]], size: int) -> None:
        """Send a payload the ways that its call goes, unless the call itself can still take it."""
        leaving, is_chunk = self.output.leaving, kind == "chunk"
        held_back = not call.written and self.release(call)  # goes before its parts
        if leaving is not None and is_chunk:
            if not leaving.submit(call.span, attributes, size):
                call.attributes[spans.LOST] = True
        elif leaving is not None and not call.span.is_recording():
            for encoded in attributes():
                self._send(call, kind, leaving.lighten(call.span, {spans.PART: kind, **encoded}))
        goes_to_file = is_chunk or (call.written and not held_back)
        if self.output.settings.files and goes_to_file and self.pid == process.id:
            self._file(call, kind, attributes, size)

    def _send(self, call: Call, kind: str, attributes: Attributes) -> None:
        context = trace.set_span_in_context(call.span, Context())
        tracer = self.output.provider.get_tracer(spans.TRACER_NAME)
        part = tracer.start_span(f"timetracer.{kind}", context=context)
        part.set_attributes(dict(attributes))
        part.end()

    def _file(self, call: Call, kind: str, attributes: Callable[[], Iterable[Attributes]], size: int) -> None:
        """Hand a payload to the file; when it cannot be kept the call says so, and no replay answers from it."""
        now, parent = _now(), call.span.get_span_context()

        def fragments() -> Iterator[bytes]:
            for encoded in attributes():
                extra = {spans.LANE_ID: self.id, spans.PART: kind, **encoded}
                resource = self.output.provider.resource
                part = own_span(f"timetracer.{kind}", parent.trace_id, resource, (now, now), parent)
                yield otlp.span_fragment(part, extra)

        def lost() -> None:
            call.attributes[spans.LOST] = True

        if not self.add_part(Part(call.span.instrumentation_scope, size, fragments, lost)):
            lost()
        if size:
            self.output.sink.pace()

    # Draws: they leave with the entry's span, or in one of their own where none is left.

    def note_draws(self) -> None:
        """From now on note what the lane draws, where anything of the kind is recorded."""
        groups = self.output.settings.draws
        self.draws = Noted(groups, self.flush_draws) if groups else None

    @property
    def draws_wait(self) -> bool:
        """Whether anything was drawn that is not written yet."""
        return isinstance(self.draws, Noted) and self.draws.count > 0

    def take_draws(self) -> Attributes:
        """Take what was drawn and not written, as attributes of a span; none when nothing is recorded."""
        if not isinstance(self.draws, Noted):
            return {}
        try:
            return attributes(self, self.draws)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("draws.encode", error)
            return {}

    def flush_draws(self) -> None:
        """Write what was drawn until now, when there is anything; the lane may be open or not."""
        for _, fragment in self.draw_fragments():
            self.add_part(Part(None, len(fragment), partial(list, [fragment])))

    def draw_fragments(self) -> Fragments:
        """Take what was drawn until now, as a span to be written; what leaves by an exporter has left."""
        if not self.draws_wait:
            return []
        try:
            return self._encoded_draws({spans.LANE_ID: self.id, **self.take_draws()})
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("draws.write", error)
            return []

    def _encoded_draws(self, encoded: Attributes) -> Fragments:
        output = self.output
        if output.leaving is not None:
            span = output.provider.get_tracer(spans.TRACER_NAME).start_span("timetracer.draws")
            span.set_attributes(dict(output.leaving.lighten(span, dict(encoded))))
            span.end()
        if not output.settings.files:
            return []
        now = _now()
        part = own_span("timetracer.draws", int(self.id, 16), output.provider.resource, (now, now))
        return [(None, otlp.span_fragment(part, encoded))]
