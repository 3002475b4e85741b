"""Which recorded lane an incoming request follows."""

from __future__ import annotations

import heapq
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Lane
from timetracer_otel.cassette.shelf import Outline, Shelf
from timetracer_otel.replay import bodies
from timetracer_otel.seams import Request

__all__ = ["Entries"]

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


@dataclass
class _Pool:
    """Recorded lanes by the body of their request, then by its headers.

    Args:
        groups: the lanes.
        cuts: lengths of the bodies that were recorded only in their beginning, the longest first.
    """

    groups: dict[bodies.Key, dict[frozenset[tuple[str, str]], _Alike]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    cuts: list[int] = field(default_factory=list)


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
        self._pools: dict[tuple[str, tuple[str, str]], _Pool] = {}
        self._lock = threading.Lock()
        for lane in shelf.catalog.lanes:
            if lane.trace_id:
                self._by_target[lane.method, lane.target].append(lane)
                self._by_trace[lane.trace_id].append(lane)

    def wants_body(self, request: Request) -> bool:
        """Whether the body is needed to tell the candidates apart; not where our header names the lane."""
        if self._shelf.lane(request.header(spans.LANE_HEADER) or "") is not None:
            return False
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
            best = max(groups, key=lambda group: (*_likeness(mine, group.headers), -group.waiting[0][0]))
            return self._shelf.lane(best.next(self._claim))

    def _groups(self, request: Request) -> list[_Alike]:
        """The recorded requests of that method, target and body, by their headers."""
        target = _target(request)
        trace_id = (request.header("traceparent") or "").partition("-")[2].partition("-")[0]
        traced = [lane for lane in self._by_trace.get(trace_id, []) if (lane.method, lane.target) == target]
        key = (trace_id if traced else "", target)
        if key not in self._pools:
            self._pools[key] = self._pool(traced or self._by_target.get(target, []))
        pool = self._pools[key]
        keys = bodies.live_keys(b"".join(request.body), request.header("content-type"), pool.cuts)
        return [group for key in keys for group in pool.groups.get(key, {}).values()]

    def _pool(self, outlines: Iterable[Outline]) -> _Pool:
        """Sort recorded requests by body and headers; each lane is read once, whatever comes."""
        pool = _Pool()
        for number, outline in enumerate(outlines):
            lane = self._shelf.lane(outline.id)
            if lane is not None:
                headers = _counting(bodies.recorded_headers(lane))
                alike = pool.groups[bodies.recorded_key(lane)].setdefault(headers, _Alike(headers))
                alike.waiting.append((0, number, lane.id))
        pool.cuts = sorted({length for length, _ in pool.groups if length != bodies.WHOLE}, reverse=True)
        return pool


def _target(request: Request) -> tuple[str, str]:
    return request.method, redaction.url(request.target)


def _counting(headers: list[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    return frozenset((name.lower(), value) for name, value in headers if name.lower() not in _VOLATILE)


def _likeness(mine: frozenset[tuple[str, str]], theirs: frozenset[tuple[str, str]]) -> tuple[bool, bool, int]:
    different = mine ^ theirs
    names = {name for name, _ in different}
    return "authorization" not in names, "cookie" not in names, -len(different)
