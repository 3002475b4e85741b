"""Payloads that leave in spans of their own: late ones, and pieces of large ones, which must not pile up in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from opentelemetry import trace
from opentelemetry.context import Context

from timetracer_otel import spans
from timetracer_otel.cassette import otlp, storage
from timetracer_otel.config import Settings
from timetracer_otel.exporters.host.otlp_sender import Leaving
from timetracer_otel.exporters.lanes.encoded_span import own_span
from timetracer_otel.exporters.writing.sink import Sink
from timetracer_otel.seams import Call
from timetracer_otel.seams.lanes import process

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

__all__ = ["Part", "Spill", "emit"]


Attributes: TypeAlias = dict[str, spans.Attribute]


class _Recorder(Protocol):
    settings: Settings
    provider: TracerProvider
    sink: Sink
    leaving: Leaving | None


@dataclass(frozen=True, slots=True)
class Part:
    """What goes into a lane's file beside its ended spans: encoded when it is written, one span after the other.

    Args:
        scope: of the spans.
        size: bytes of payload that wait until then.
        fragments: encodes the spans.
        lost: told when the part was not written.
    """

    scope: InstrumentationScope | None
    size: int
    fragments: Callable[[], Iterable[bytes]]
    lost: Callable[[], None] = lambda: None

    def write(self, add_line: Callable[[bytes, InstrumentationScope | None], None]) -> None:
        """Give each span to what writes a line."""
        try:
            for fragment in self.fragments():
                add_line(fragment, self.scope)
        except BaseException:
            self.lost()
            raise


def emit(recorder: _Recorder, call: Call, kind: str, attributes: Callable[[], Iterable[Attributes]], size: int) -> None:
    """Send a payload the ways that its call goes, unless the call itself can still take it.

    Args:
        recorder: the runtime.
        call: that it belongs to.
        kind: ``body`` or ``chunk``.
        attributes: encodes the payload, for one span after the other.
        size: bytes that wait until the writer gets to it.
    """
    settings, is_chunk = recorder.settings, kind == "chunk"
    release = getattr(call.lane, "release", None)  # of a session
    held_back = not call.written and release is not None and release(call)  # goes before its parts
    if recorder.leaving is not None and is_chunk:
        if not recorder.leaving.submit(call.span, attributes, size):
            call.attributes[spans.LOST] = True
    elif recorder.leaving is not None and not call.span.is_recording():
        for encoded in attributes():
            _send(recorder.provider, call, kind, recorder.leaving.lighten(call.span, {spans.PART: kind, **encoded}))
    if settings.files and (is_chunk or (call.written and not held_back)) and call.lane.pid == process.id:
        _file(recorder, call, kind, attributes, size)


def _send(provider: TracerProvider, call: Call, kind: str, attributes: Attributes) -> None:
    context = trace.set_span_in_context(call.span, Context())
    part = provider.get_tracer(spans.TRACER_NAME).start_span(f"timetracer.{kind}", context=context)
    part.set_attributes(dict(attributes))
    part.end()


def _file(
    recorder: _Recorder, call: Call, kind: str, attributes: Callable[[], Iterable[Attributes]], size: int
) -> None:
    """Hand a payload to the lane's file; when it cannot be kept the call says so, and no replay answers from it."""
    now, parent = time.time_ns(), call.span.get_span_context()

    def fragments() -> Iterator[bytes]:
        for encoded in attributes():
            extra = {spans.LANE_ID: call.lane.id, spans.PART: kind, **encoded}
            part = own_span(f"timetracer.{kind}", parent.trace_id, recorder.provider.resource, (now, now), parent)
            yield otlp.span_fragment(part, extra)

    def lost() -> None:
        call.attributes[spans.LOST] = True

    add = getattr(call.lane, "add_part", None)  # both kinds of recorded lanes have it; a lane of a test may not
    if add is None:
        return
    if not add(Part(call.span.instrumentation_scope, size, fragments, lost)):
        lost()
    if size:
        recorder.sink.pace()


class Spill:
    """Lines of a lane that is still open, on disk beside where its file will be; made only when there are any.

    Args:
        settings: where to, and how compressed.
        lane_id: names the file.
    """

    __slots__ = ("_over", "_path", "_settings", "_used")

    def __init__(self, settings: Settings, lane_id: str) -> None:
        self._settings = settings
        self._path: Path = settings.dir / f".{lane_id}.part"
        self._used = False
        self._over = False

    def write(self, line: bytes) -> None:
        """Append a line; nothing when the lane's file was written, or given up.

        Raises:
            CassetteError: it cannot be written.
        """
        if not self._over:
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
        try:
            if not self._used:
                storage.write_whole(path, data)
                return
            with storage.whole_file(path) as file, self._path.open("rb") as spilled:
                storage.write_all(file, data)
                while block := spilled.read(1 << 20):
                    storage.write_all(file, block)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what was spilled; take no more."""
        self._over = True
        if self._used:
            self._used = False
            self._path.unlink(missing_ok=True)
