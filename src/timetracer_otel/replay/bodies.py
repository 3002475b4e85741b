"""When the body of a live request says the same as a recorded one: their keys are equal, so none is read twice."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

import orjson

from timetracer_otel import spans
from timetracer_otel.cassette.model import Lane

__all__ = ["WHOLE", "Key", "live_keys", "recorded_headers", "recorded_key", "recorded_target"]

Key: TypeAlias = tuple[int, bytes]
"""How much of a body was recorded, :data:`WHOLE` where it is all of it, and a digest."""

WHOLE: Final = -1
_BOUNDARY: Final = re.compile(rb'boundary="?([^";,\s]+)')


def recorded_key(lane: Lane) -> Key:
    """Give the key of a recorded request's body.

    Args:
        lane: of the request.
    """
    entry = lane.entry
    body = (entry.payload(spans.HTTP_REQUEST_BODY) if entry is not None else None) or b""
    incomplete = entry.text(spans.INCOMPLETE) if entry is not None else None
    if incomplete is not None and "request" in incomplete:
        return len(body), _digest(body)
    content_type = {name.lower(): value for name, value in recorded_headers(lane)}.get("content-type")
    return _whole_key(body, content_type)


def live_keys(body: bytes, content_type: str | None, cuts: Iterable[int]) -> Iterator[Key]:
    """Give the keys of the recorded bodies that say the same as a live one: the whole ones, then the beginnings of it.

    Args:
        body: all of it.
        content_type: of the live request; it names the boundary of a multipart body.
        cuts: the lengths of the beginnings that were recorded.
    """
    yield _whole_key(body, content_type)
    for length in cuts:
        if length <= len(body):
            yield length, _digest(body[:length])


def recorded_headers(lane: Lane) -> list[tuple[str, str]]:
    """Give the headers of a recorded request.

    Args:
        lane: of the request.
    """
    return spans.decode_headers(lane.entry.attributes, spans.HTTP_REQUEST_HEADERS) if lane.entry is not None else []


def recorded_target(lane: Lane) -> str:
    """Give path and query of a recorded request.

    Args:
        lane: of the request.
    """
    return (lane.entry.text(spans.HTTP_TARGET) if lane.entry is not None else None) or ""


def _whole_key(body: bytes, content_type: str | None) -> Key:
    if body[:1] in {b"{", b"["}:
        try:
            return WHOLE, _digest(orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS))
        except (ValueError, TypeError):
            pass  # no JSON after all, or nested too deeply to be written again
    boundary = _BOUNDARY.search((content_type or "").encode("latin-1", "replace"))
    return WHOLE, _digest(body.replace(boundary[1], b"") if boundary else body)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
