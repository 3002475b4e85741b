"""Spans of what other tools recorded, as OTLP/JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from timetracer_otel import spans as names
from timetracer_otel.cassette.model import Kind

__all__ = ["Json", "lane_span", "names_and_values"]

Json: TypeAlias = dict[str, Any]
_KINDS = {str: "stringValue", bool: "boolValue", int: "intValue"}


def names_and_values(attributes: Mapping[str, Any]) -> list[Json]:
    """Give attributes as OTLP/JSON has them.

    Args:
        attributes: texts, flags and whole numbers.
    """
    return [
        {"key": name, "value": {_KINDS[type(value)]: str(value) if type(value) is int else value}}
        for name, value in attributes.items()
    ]


def lane_span(  # noqa: PLR0913, PLR0917 - what a span has
    lane: str, ids: tuple[str, str | None], name: str, kind: Kind, times: tuple[int, int], attributes: Mapping[str, Any]
) -> Json:
    """Give a span of a lane.

    Args:
        lane: its id, and that of the trace.
        ids: of the span and of its parent; None for the entry's own, which has none.
        name: of the span.
        kind: of the span.
        times: start and end, in nanoseconds since 1970.
        attributes: without the lane's id.
    """
    span_id, parent = ids
    made = {
        "traceId": lane,
        "spanId": span_id,
        "name": name,
        "kind": kind.value,
        "startTimeUnixNano": str(times[0]),
        "endTimeUnixNano": str(times[1]),
        "attributes": names_and_values({names.LANE_ID: lane, **attributes}),
    }
    return made if parent is None else {**made, "parentSpanId": parent}
