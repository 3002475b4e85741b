"""Recorded spans with their secrets put back, before anything else looks at them; only a replay wants that."""

from __future__ import annotations

from functools import cache
from typing import Final

import orjson

from timetracer_otel import redaction, spans
from timetracer_otel.cassette import kinds
from timetracer_otel.cassette.model import Lane, Span

__all__ = ["open_lane", "open_span"]

_TEXTS: Final = frozenset((spans.HTTP_TARGET, "url.full", "timetracer.http.effective_url"))
_JSON: Final = (spans.ERROR, "timetracer.http.response.syntax")
"""Beside what the kinds of entries name, HTTP's headers among it."""


def open_lane(lane: Lane) -> Lane:
    """Put the secrets of a lane back in their places, those for which there is a key; give the lane.

    Args:
        lane: as read; it is changed.
    """
    for span in lane.spans:
        open_span(span)
    return lane


def open_span(span: Span) -> None:
    """As :func:`open_lane`, of one span.

    Args:
        span: as read; it is changed.
    """
    attributes = span.attributes
    for name in _TEXTS.intersection(attributes):
        if (text := span.text(name)) is not None:
            attributes[name] = redaction.opened(text)
    for name in _of_json().intersection(attributes):
        if (text := span.text(name)) is not None:
            attributes[name] = redaction.opened(text, _in_json)


@cache
def _of_json() -> frozenset[str]:
    return kinds.sealed().union(_JSON)


def _in_json(secret: str) -> str:
    """A secret as it is written inside a string of JSON."""
    return orjson.dumps(secret.encode("utf-8", "surrogateescape").decode("utf-8", "replace")).decode()[1:-1]
