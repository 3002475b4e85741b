"""Open lanes that grow: what they hold is counted, and leaves for the disk before it is much."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from timetracer_otel import spans
from timetracer_otel.cassette import otlp
from timetracer_otel.exporters.host.otlp_sender import ATTRIBUTE
from timetracer_otel.exporters.lanes.encoded_span import Ended, own_span
from timetracer_otel.exporters.lanes.payload_spans import Part
from timetracer_otel.exporters.writing.losses import DISK, MEMORY
from timetracer_otel.seams import Request, Response, entry_attributes

if TYPE_CHECKING:
    from timetracer_otel.exporters.lanes.recorder import RecordingLane

__all__ = ["LOOK_MASK", "end", "entry", "grew", "look", "weight"]

GRAIN: Final = 64 * 1024
"""Bytes that a lane may hold before they are counted."""
SPILL_BYTES: Final = 1024 * 1024
"""Bytes that an open lane holds in memory at most; more goes to its ``.part`` file."""
LOOK_MASK: Final = 31
"""Each 32nd span of a lane is when its spans are weighed: weighing each would cost every request."""
SPAN_OVERHEAD: Final = 200
"""Bytes of the objects around an encoded span."""


def weight(ended: Sequence[Ended]) -> int:
    """Bytes that ended spans hold, about."""
    encoded = [one.encoded for one in ended if one.encoded is not None]
    return sum(map(len, encoded)) + sum(one.size() + SPAN_OVERHEAD for one in ended)


def look(lane: RecordingLane) -> None:
    """Weigh the spans that have ended since the last look."""
    new = lane.ended[lane.looked :]
    lane.looked += len(new)
    grew(lane, None, weight(new))


def grew(lane: RecordingLane, message: Request | Response | None, size: int) -> None:
    """Count bytes that an open lane holds from now on.

    Args:
        lane: that grew.
        message: whose body it was; None for spans.
        size: bytes.
    """
    lane.held += size
    if lane.held - lane.counted < GRAIN:
        return
    recorder = lane.recorder
    if lane.abandoned or not (lane.kept or recorder.settings.span_payloads):
        if message is not None:
            message.body.clear()  # nobody will write it
        lane.held = 0
        return
    if lane.held >= SPILL_BYTES:
        with recorder.relieving:
            _relieve(lane, message)
    if recorder.memory.take(lane.held - lane.counted):
        lane.counted = lane.held
    else:
        lane.abandon(MEMORY, f"{recorder.memory.used} bytes are held")


def _relieve(lane: RecordingLane, message: Request | Response | None) -> None:
    """Bring what a lane holds to its ``.part`` file, and bodies to other exporters that get payloads."""
    # In place, because another thread of the lane may be appending to the list meanwhile.
    taken = lane.ended[:]
    del lane.ended[: len(taken)]
    lane.looked = 0
    if taken and not lane.recorder.sink.submit(lane.id, weight(taken), partial(_spill, lane, taken)):
        lane.abandon(MEMORY, "the writer has too much to do")
    lane.held = 0
    for one in (lane.request, message if isinstance(message, Response) else None):
        # A chunk needs the span that it belongs to: before the response, an instrumentor's may still come.
        if one is not None and (lane.entry is not None or isinstance(message, Response)):
            lane.held += _relieve_body(lane, one)
        elif one is not None:
            lane.held += sum(map(len, one.body))


def _spill(lane: RecordingLane, taken: Sequence[Ended]) -> None:
    try:
        lane.spill.write(lane.recorder.line([(one.scope, one.fragment(lane)) for one in taken]))
    except BaseException as error:
        lane.abandon(DISK, error)
        raise


def _relieve_body(lane: RecordingLane, message: Request | Response, least: int = GRAIN) -> int:
    """Send a body's bytes away as chunks, unless they are few; the bytes that stay."""
    size = sum(map(len, message.body))
    if size < least:
        return size
    pieces = message.body[:]
    del message.body[: len(pieces)]
    data = b"".join(pieces)
    for start in range(0, max(len(data), 1), ATTRIBUTE):
        _chunk(lane, _name(message), data[start : start + ATTRIBUTE])
    return 0


def _name(message: Request | Response) -> str:
    return spans.HTTP_REQUEST_BODY if isinstance(message, Request) else spans.HTTP_RESPONSE_BODY


def _chunk(lane: RecordingLane, name: str, data: bytes) -> None:
    chunks = lane.chunks = lane.chunks or {}
    index = chunks[name] = chunks.get(name, 0) + 1
    place: dict[str, spans.Attribute] = {spans.PART_OF: name, spans.PART_INDEX: index - 1}
    leaving, at = lane.recorder.leaving, time.time_ns()

    def encoded() -> Iterator[dict[str, spans.Attribute]]:
        yield place | spans.encode_payload(name, data)

    def fragments() -> Iterator[bytes]:
        parent = lane.entry_context
        for attributes in encoded():
            part = own_span("timetracer.chunk", parent.trace_id, lane.recorder.provider.resource, (at, at), parent)
            yield otlp.span_fragment(part, {spans.LANE_ID: lane.id, spans.PART: "chunk", **attributes})

    if leaving is not None and lane.entry is not None:
        leaving.submit(lane.entry, encoded, len(data))  # counts by itself what it cannot send
    if lane.kept:
        lost = partial(lane.abandon, DISK, "a part of its body")
        if not lane.add_part(Part(None, len(data), fragments, lost)):
            lane.abandon(MEMORY, "the writer has too much to do")


def end(lane: RecordingLane) -> None:
    """Send the rest of the bodies that have left in chunks: nothing more will come."""
    chunks = lane.chunks or {}
    for message in (lane.request, lane.response):
        if message is not None and message.body and _name(message) in chunks:
            _relieve_body(lane, message, least=1)


def entry(lane: RecordingLane, request: Request) -> dict[str, spans.Attribute]:
    """Encode what the entry's seam saw; of a body that left in chunks, how many they are."""
    attributes = entry_attributes(request, lane.response, lane.error)
    for name, count in (lane.chunks or {}).items():
        for ending in ("", ".codec", ".size"):
            attributes.pop(name + ending, None)
        attributes[name + spans.PARTS] = count
    return attributes
