"""Which recorded lane an incoming request follows."""

from __future__ import annotations

import re
import threading
from collections import defaultdict

import orjson

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Cassette, Lane
from timetracer_otel.seams import Request

__all__ = ["Entries"]

_BOUNDARY = re.compile(rb'boundary="?([^";,\s]+)')
_VOLATILE = frozenset(
    {
        "accept-encoding", "connection", "content-length", "content-type", "date", "host", "traceparent", "tracestate",
        "user-agent", "x-request-id", "x-forwarded-for", "x-forwarded-proto", spans.LANE_HEADER,
    }
)  # fmt: skip
"""Headers that differ between two sendings of the same request."""


class Entries:
    """The recorded entries, looked up by what a live request says.

    Args:
        cassette: what was loaded.
    """

    def __init__(self, cassette: Cassette) -> None:
        self._cassette = cassette
        self._by_target: dict[tuple[str, str], list[Lane]] = defaultdict(list)
        self._by_trace: dict[str, list[Lane]] = defaultdict(list)
        self._followed: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        for lane in cassette.lanes:
            if lane.entry is not None:
                self._by_target[_address(lane)].append(lane)
                self._by_trace[lane.entry.trace_id].append(lane)

    def wants_body(self, request: Request) -> bool:
        """Whether the body is needed to tell the candidates apart."""
        candidates = self._by_target.get((request.method, redaction.url(request.target)), [])
        return any(lane.entry is not None and lane.entry.attributes.get(spans.HTTP_REQUEST_BODY) for lane in candidates)

    def choose(self, request: Request) -> Lane | None:
        """Give the lane that a request follows, and count it as followed.

        The lane that our header names; else one of the trace that ``traceparent`` names, with the same method and
        target; else by method, target and body. Of several the one with the same Authorization, then Cookie, then most
        equal headers, then the least followed, then the earliest.

        Args:
            request: with its body, when :meth:`wants_body` said so.
        """
        named = self._cassette.lane(request.header(spans.LANE_HEADER) or "")
        with self._lock:
            lane = named or self._best(request)
            if lane is not None:
                self._followed[lane.id] += 1
            return lane

    def _best(self, request: Request) -> Lane | None:
        target = (request.method, redaction.url(request.target))
        traced = self._by_trace.get((request.header("traceparent") or "").split("-")[1:2][0] if "-" in (request.header("traceparent") or "") else "", [])
        candidates = [lane for lane in traced if _address(lane) == target] or self._by_target.get(target, [])
        body = b"".join(request.body)
        same = [lane for lane in candidates if _same_body(body, _recorded_body(lane), request, lane)]
        headers = redaction.headers(request.headers)
        return max(same, key=lambda lane: (*_likeness(headers, lane), -self._followed[lane.id]), default=None)


def _address(lane: Lane) -> tuple[str, str]:
    assert lane.entry is not None  # noqa: S101 - only lanes with an entry are indexed
    attributes = lane.entry.attributes
    return str(attributes.get(spans.HTTP_METHOD, "")), str(attributes.get(spans.HTTP_TARGET, ""))


def _recorded_body(lane: Lane) -> bytes:
    return (lane.entry.payload(spans.HTTP_REQUEST_BODY) if lane.entry is not None else None) or b""


def _same_body(live: bytes, recorded: bytes, request: Request, lane: Lane) -> bool:
    if live == recorded:
        return True
    incomplete = lane.entry.text(spans.INCOMPLETE) if lane.entry is not None else None
    if incomplete is not None and "request" in incomplete:
        return live.startswith(recorded)
    if live[:1] in (b"{", b"[") and recorded[:1] in (b"{", b"["):
        try:
            return bool(orjson.loads(live) == orjson.loads(recorded))
        except ValueError:
            return False
    return _without_boundary(live, request.header("content-type")) == _without_boundary(
        recorded, dict((k.lower(), v) for k, v in _recorded_headers(lane)).get("content-type")
    )


def _without_boundary(body: bytes, content_type: str | None) -> bytes:
    found = _BOUNDARY.search((content_type or "").encode("latin-1", "replace"))
    return body.replace(found[1], b"") if found else body


def _recorded_headers(lane: Lane) -> list[tuple[str, str]]:
    return spans.decode_headers(lane.entry.attributes, spans.HTTP_REQUEST_HEADERS) if lane.entry is not None else []


def _likeness(live: list[tuple[str, str]], lane: Lane) -> tuple[bool, bool, int]:
    mine = {(name.lower(), value) for name, value in live if name.lower() not in _VOLATILE}
    theirs = {(name.lower(), value) for name, value in _recorded_headers(lane) if name.lower() not in _VOLATILE}

    def same(wanted: str) -> bool:
        return {value for name, value in mine if name == wanted} == {value for name, value in theirs if name == wanted}

    return same("authorization"), same("cookie"), -len(mine ^ theirs)
