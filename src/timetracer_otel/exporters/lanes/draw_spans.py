"""What lanes draw, on its way into a cassette: with the entry's span, or in one of its own where none is left."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Protocol

from timetracer_otel import spans
from timetracer_otel.cassette import otlp
from timetracer_otel.config import Settings
from timetracer_otel.exporters.host.otlp_sender import Leaving
from timetracer_otel.exporters.lanes.encoded_span import own_span
from timetracer_otel.exporters.lanes.payload_spans import Part
from timetracer_otel.nondeterminism import Noted, attributes
from timetracer_otel.seams import Lane, faults

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["begin", "flush", "rest", "waits"]

_now = time.time_ns


class _Recorder(Protocol):
    settings: Settings
    provider: TracerProvider
    leaving: Leaving | None


def begin(recorder: _Recorder, lane: Lane) -> Noted | None:
    """Give a lane that is recorded what notes its draws; None when nothing of the kind is recorded.

    Args:
        recorder: the runtime.
        lane: that begins.
    """
    groups = recorder.settings.draws
    return Noted(groups, lambda: flush(recorder, lane)) if groups else None


def waits(lane: Lane) -> bool:
    """Whether a lane has drawn anything that is not written yet."""
    return isinstance(lane.draws, Noted) and lane.draws.count > 0


def rest(lane: Lane) -> dict[str, spans.Attribute]:
    """Take what a lane has drawn and not written, as attributes of a span of it; none when nothing is recorded."""
    if not isinstance(lane.draws, Noted):
        return {}
    try:
        return attributes(lane, lane.draws)
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("draws.encode", error)
        return {}


def flush(recorder: _Recorder, lane: Lane) -> None:
    """Write what a lane has drawn until now, when there is anything.

    Args:
        recorder: the runtime.
        lane: open or not.
    """
    add_part = getattr(lane, "add_part", None)  # both kinds of recorded lanes have it; a lane of a test may not
    for _, fragment in fragments(recorder, lane):
        if add_part is not None:
            add_part(Part(None, len(fragment), partial(list, [fragment])))


def fragments(recorder: _Recorder, lane: Lane) -> list[tuple[None, bytes]]:
    """Take what a lane has drawn until now, as a span to be written; what leaves by an exporter has left.

    Args:
        recorder: the runtime.
        lane: open or not.
    """
    if not isinstance(lane.draws, Noted) or not waits(lane):
        return []
    try:
        encoded = {spans.LANE_ID: lane.id, **attributes(lane, lane.draws)}
        if recorder.leaving is not None:
            span = recorder.provider.get_tracer(spans.TRACER_NAME).start_span("timetracer.draws")
            span.set_attributes(dict(recorder.leaving.lighten(span, dict(encoded))))
            span.end()
        if not recorder.settings.files:
            return []
        now = _now()
        part = own_span("timetracer.draws", int(lane.id, 16), recorder.provider.resource, (now, now))
        return [(None, otlp.span_fragment(part, encoded))]
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("draws.write", error)
        return []
