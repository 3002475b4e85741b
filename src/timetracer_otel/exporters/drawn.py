"""What lanes draw, on its way into a cassette: with the entry's span, or in one of its own where none is left."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Protocol

from opentelemetry.trace import SpanContext

from timetracer_otel import spans
from timetracer_otel.cassette import otlp
from timetracer_otel.config import Settings
from timetracer_otel.exporters.leaving import Leaving
from timetracer_otel.exporters.parts import Part
from timetracer_otel.nondeterminism import Noted, attributes
from timetracer_otel.seams import Lane, faults

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

__all__ = ["begin", "flush", "rest", "waits"]

_now = time.time_ns
_new_id = os.urandom


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
    return isinstance(lane.draws, Noted) and bool(lane.draws.draws)


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
    if not isinstance(lane.draws, Noted) or not waits(lane):
        return
    try:
        encoded = {spans.LANE_ID: lane.id, **attributes(lane, lane.draws)}
        if recorder.leaving is not None:
            span = recorder.provider.get_tracer("timetracer_otel").start_span("timetracer.draws")
            span.set_attributes(dict(recorder.leaving.lighten(span, dict(encoded))))
            span.end()
        add_part = getattr(lane, "add_part", None)  # both kinds of recorded lanes have it; a lane of a test may not
        if recorder.settings.files and add_part is not None:
            fragment = otlp.span_fragment(_part(recorder, lane), encoded)
            size = sum(len(value) for value in encoded.values() if isinstance(value, str))
            add_part(Part(None, size, lambda: [fragment]))
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("draws.flush", error)


def _part(recorder: _Recorder, lane: Lane) -> ReadableSpan:
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 - keeps the SDK out of a process in mode off

    now = _now()
    return ReadableSpan(
        name="timetracer.draws",
        context=SpanContext(int(lane.id, 16), int.from_bytes(_new_id(8), "big"), is_remote=False),
        resource=recorder.provider.resource,
        start_time=now,
        end_time=now,
    )
