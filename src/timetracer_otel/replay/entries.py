"""Which recorded lane an incoming request follows."""

from __future__ import annotations

import hashlib
import heapq
import re
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Lane
from timetracer_otel.cassette.shelf import Outline, Shelf
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


@dataclass
class _Alike:
    """Recorded lanes whose requests say the same in every header that counts. They are followed in turn.

    Args:
        headers: those that count.
        waiting: how often each was followed, its number, and the lane's id; a heap.
    """

    headers: frozenset[tuple[str, str]]
    waiting: list[tuple[int, int, str]] = field(default_factory=list)

    def next(self, claim: Callable[[str], bool]) -> str:
        """The id of the least followed, then the earliest lane; counts it as followed.

        Args:
            claim: says whether no other process of the replay has followed the lane that often.
        """
        while True:
            followed, number, lane = self.waiting[0]
            heapq.heapreplace(self.waiting, (followed + 1, number, lane))
            if claim(f"{lane}-{followed}"):
                return lane


class Entries:
    """The recorded entries, looked up by what a live request says.

    Args:
        shelf: the recorded lanes.
        claim: takes a name that only one process of the replay may have.
    """

    def __init__(self, shelf: Shelf, claim: Callable[[str], bool]) -> None:
        self._shelf = shelf
        self._claim = claim
        self._by_target: dict[tuple[str, str], list[Outline]] = defaultdict(list)
        self._by_trace: dict[str, list[Outline]] = defaultdict(list)
        self._alike: dict[tuple[object, bytes], list[_Alike]] = {}
        self._lock = threading.Lock()
        for lane in shelf.catalog.lanes:
            if lane.trace_id:
                self._by_target[lane.method, lane.target].append(lane)
                self._by_trace[lane.trace_id].append(lane)

    def wants_body(self, request: Request) -> bool:
        """Whether the body is needed to tell the candidates apart."""
        return any(lane.has_body for lane in self._by_target.get(_target(request), []))

    def choose(self, request: Request) -> Lane | None:
        """Give the lane that a request follows, and count it as followed.

        The lane that our header names; else one of the trace that ``traceparent`` names, with the same method and
        target; else by method, target and body. Of several the one with the same Authorization, then Cookie, then most
        equal headers, then the least followed, then the earliest.

        Args:
            request: with its body, when :meth:`wants_body` said so.
        """
        named = self._shelf.lane(request.header(spans.LANE_HEADER) or "")
        if named is not None:
            return named
        with self._lock:
            groups = self._groups(request)
            if not groups:
                return None
            mine = _counting(redaction.headers(request.headers))
            return self._shelf.lane(max(groups, key=lambda group: _likeness(mine, group.headers)).next(self._claim))

    def _groups(self, request: Request) -> list[_Alike]:
        """The recorded requests of that method, target and body, by their headers; sorted out once a body."""
        target = _target(request)
        trace_id = (request.header("traceparent") or "").partition("-")[2].partition("-")[0]
        traced = [lane for lane in self._by_trace.get(trace_id, []) if (lane.method, lane.target) == target]
        body = b"".join(request.body)
        key = (trace_id if traced else target, hashlib.blake2b(body, digest_size=16).digest())
        if key not in self._alike:
            alike: dict[frozenset[tuple[str, str]], _Alike] = {}
            for number, outline in enumerate(traced or self._by_target.get(target, [])):
                lane = self._shelf.lane(outline.id)
                if lane is not None and _same_body(body, _recorded_body(lane), request, lane):
                    headers = _counting(_recorded_headers(lane))
                    alike.setdefault(headers, _Alike(headers)).waiting.append((0, number, lane.id))
            self._alike[key] = list(alike.values())
        return self._alike[key]


def _target(request: Request) -> tuple[str, str]:
    return request.method, redaction.url(request.target)


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
        recorded, {name.lower(): value for name, value in _recorded_headers(lane)}.get("content-type")
    )


def _without_boundary(body: bytes, content_type: str | None) -> bytes:
    found = _BOUNDARY.search((content_type or "").encode("latin-1", "replace"))
    return body.replace(found[1], b"") if found else body


def _recorded_headers(lane: Lane) -> list[tuple[str, str]]:
    return spans.decode_headers(lane.entry.attributes, spans.HTTP_REQUEST_HEADERS) if lane.entry is not None else []


def _counting(headers: list[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    return frozenset((name.lower(), value) for name, value in headers if name.lower() not in _VOLATILE)


def _likeness(mine: frozenset[tuple[str, str]], theirs: frozenset[tuple[str, str]]) -> tuple[bool, bool, int]:
    different = mine ^ theirs
    names = {name for name, _ in different}
    return "authorization" not in names, "cookie" not in names, -len(different)
