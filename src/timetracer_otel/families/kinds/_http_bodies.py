"""When the body of a live request says the same as a recorded one: their keys are equal, so none is read twice."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import orjson

from timetracer_otel import spans
from timetracer_otel.cassette.model import Lane
from timetracer_otel.families.kinds._http_request import Request

__all__ = ["WHOLE", "Key", "live_keys", "recorded_headers", "recorded_key", "recorded_target", "without_boundary"]

WHOLE: Final = -1


class Key(NamedTuple):
    """What is known of a body.

    Attributes:
        length: how much of it was recorded, :data:`WHOLE` where it is all.
        announced: the Content-Length of one whose end was not recorded; empty where there was none.
        digest: of what was recorded.
    """

    length: int
    announced: str
    digest: bytes

    @property
    def certainty(self) -> float:
        """How sure an equal body is the same. One that was left unread was of this length; else more bytes say more."""
        return math.inf if self.length == WHOLE or self.announced else self.length


_BOUNDARY: Final = re.compile(r'boundary="?([^";,\s]+)')


def recorded_key(lane: Lane) -> Key:
    """Give the key of a recorded request's body.

    Args:
        lane: of the request.
    """
    entry = lane.entry
    body = (entry.payload(spans.HTTP_REQUEST_BODY) if entry is not None else None) or b""
    incomplete = entry.text(spans.INCOMPLETE) if entry is not None else None
    headers = {name.lower(): value for name, value in recorded_headers(lane)}
    if incomplete is not None and "request" in incomplete:
        return Key(len(body), headers.get("content-length", ""), _digest(body))
    return _whole_key(body, headers.get("content-type"))


def live_keys(request: Request, cuts: Iterable[int]) -> Iterator[Key]:
    """Give the keys of the recorded bodies that may say the same as a live one.

    Args:
        request: with as much of its body as was read.
        cuts: the lengths of the beginnings that were recorded.
    """
    body = b"".join(request.body)
    yield _whole_key(body, request.header("content-type"))
    lengths = dict.fromkeys((request.header("content-length") or "", str(len(body)), ""))
    for cut in cuts:
        if cut <= len(body):
            yield from (Key(cut, length, _digest(body[:cut])) for length in lengths)


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


def without_boundary(value: str) -> str:
    """Give a header's value without the boundary of a multipart body, which each sending draws anew.

    Args:
        value: of any header.
    """
    return _BOUNDARY.sub("boundary=", value)


def _whole_key(body: bytes, content_type: str | None) -> Key:
    if body[:1] in {b"{", b"["}:
        try:
            return Key(WHOLE, "", _digest(orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)))
        except (ValueError, TypeError):
            pass  # no JSON after all, or nested too deeply to be written again
    boundary = _BOUNDARY.search(content_type or "")
    return Key(WHOLE, "", _digest(body.replace(boundary[1].encode("latin-1", "replace"), b"") if boundary else body))


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
