"""Which recorded lane an incoming request follows."""

from __future__ import annotations

import heapq
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Lane
from timetracer_otel.cassette.shelf import Outline, Shelf
from timetracer_otel.replay import bodies
from timetracer_otel.replay.who import Fit, Who
from timetracer_otel.seams import Request

__all__ = ["Chosen", "Entries"]

_VOLATILE = frozenset(
    {
        "accept-encoding", "connection", "content-length", "date", "host", "traceparent", "tracestate",
        "user-agent", "x-request-id", "x-forwarded-for", "x-forwarded-proto", spans.LANE_HEADER,
    }
)  # fmt: skip
"""Headers that differ between two sendings of the same request."""


_Target: TypeAlias = tuple[str, str]
"""Method and target without its secrets."""
_Said: TypeAlias = tuple[frozenset[tuple[str, str]], Who]


class Chosen(NamedTuple):
    """What a request follows.

    Attributes:
        lane: the recorded one; None when there is none.
        remark: what is to be said about who asked then; empty when it was the same.
    """

    lane: Lane | None
    remark: str = ""


_REFUSED = (401, 403)
_REMARKS = {
    Fit.NEVER: "it was recorded only {}",
    Fit.OTHER: "it follows one that was recorded for other credentials: there is none for these",
    Fit.UNKNOWN: "it follows one whose credentials are not known here: what it asked with {}",
}


@dataclass
class _Alike:
    """Recorded lanes whose requests say the same in every header that counts. They are followed in turn.

    Args:
        headers: those that count.
        who: who asked.
        certainty: of their bodies.
        accepted: whether one of them was not turned away.
        waiting: how often each was followed, its number, and the lane's id; a heap.
    """

    headers: frozenset[tuple[str, str]]
    who: Who
    certainty: float
    accepted: bool = False
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

    groups: dict[bodies.Key, dict[_Said, _Alike]] = field(default_factory=lambda: defaultdict(dict))
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
        self._by_target: dict[_Target, list[Outline]] = defaultdict(list)
        self._by_trace: dict[tuple[str, _Target], list[Outline]] = defaultdict(list)
        self._pools: dict[tuple[str, _Target], _Pool] = {}
        self._lock = threading.Lock()
        for lane in shelf.catalog.lanes:
            if lane.trace_id:
                target = lane.method, redaction.blanked_url(lane.target)
                self._by_target[target].append(lane)
                self._by_trace[lane.trace_id, target].append(lane)

    def forked(self) -> None:
        """Be usable in a forked child, whose copy of the lock may be held by a thread that is not there."""
        self._lock = threading.Lock()

    def wants_body(self, request: Request) -> bool:
        """Whether the body is needed to tell the candidates apart; not where our header names the lane."""
        if self._shelf.lane(request.header(spans.LANE_HEADER) or "") is not None:
            return False
        return any(lane.has_body for lane in self._by_target.get(_target(request), []))

    def choose(self, request: Request) -> Chosen:
        """Give the lane that a request follows, and count it as followed.

        The lane that our header names; else one of the trace that ``traceparent`` names, with the same method and
        target; else by method, target and body. A request with credentials never follows one that was recorded without,
        nor the other way round. Of several the one with the same credentials, then of the same person, then most alike
        cookies, then most equal headers, then the least followed, then the earliest.

        Args:
            request: with its body, when :meth:`wants_body` said so.
        """
        named = self._shelf.lane(request.header(spans.LANE_HEADER) or "")
        if named is not None:
            return Chosen(named)
        trace_id = (request.header("traceparent") or "").partition("-")[2].partition("-")[0]
        mine, who = _counting(request.headers), Who.of(request.headers, request.target)
        refused = ""
        with self._lock:
            for trace in dict.fromkeys((trace_id, "")):
                groups = self._groups(request, trace)
                best = max(groups, key=lambda group: _rank(mine, who, group), default=None)
                if best is None:
                    continue
                fit = who.fit(best.who)
                if fit is not Fit.NEVER:
                    return Chosen(self._shelf.lane(best.next(self._claim)), _remark(fit, best.who, who))
                refused = _remark(fit, best.who, who)
        return Chosen(None, refused)

    def _groups(self, request: Request, trace_id: str) -> list[_Alike]:
        """The recorded requests of that method, target and body, by who asked and their headers."""
        target = _target(request)
        outlines = self._by_trace.get((trace_id, target), []) if trace_id else self._by_target.get(target, [])
        key = (trace_id, target)
        if not outlines:
            return []
        if key not in self._pools:
            self._pools[key] = self._pool(outlines)
        pool = self._pools[key]
        said = _counting(request.headers), Who.of(request.headers, request.target)
        keys = list(bodies.live_keys(request, pool.cuts))
        same = [pool.groups[key][said] for key in keys if said in pool.groups.get(key, {})]
        return same or [group for key in keys for group in pool.groups.get(key, {}).values()]

    def _pool(self, outlines: Iterable[Outline]) -> _Pool:
        """Sort recorded requests by body and headers; each lane is read once, whatever comes."""
        pool = _Pool()
        for number, outline in enumerate(outlines):
            lane = self._shelf.lane(outline.id)
            if lane is not None:
                recorded = bodies.recorded_headers(lane)
                said = _counting(recorded), Who.of(recorded, bodies.recorded_target(lane))
                key = bodies.recorded_key(lane)
                alike = pool.groups[key].setdefault(said, _Alike(*said, key.certainty))
                alike.accepted |= not _turned_away(lane)
                alike.waiting.append((0, number, lane.id))
        pool.cuts = sorted({key.length for key in pool.groups if key.length != bodies.WHOLE}, reverse=True)
        return pool


def _target(request: Request) -> _Target:
    return request.method, redaction.blanked_url(request.target)


def _counting(headers: list[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """The headers that count, those that say who asks aside; a multipart body's boundary is drawn."""
    lower = ((name.lower(), bodies.without_boundary(value)) for name, value in headers)
    return frozenset(
        (name, value) for name, value in lower if name not in _VOLATILE and not redaction.is_credential(name)
    )


def _rank(mine: frozenset[tuple[str, str]], who: Who, group: _Alike) -> tuple[float, ...]:
    fit = who.fit(group.who)
    # Credentials that were turned away stand for no others: what is new here is more likely to be good.
    good = fit is Fit.SAME or group.accepted
    followed, number, _ = group.waiting[0]
    return fit, good, who.cookies_alike(group.who), -len(mine ^ group.headers), -followed, group.certainty, -number


def _turned_away(lane: Lane) -> bool:
    return lane.entry is not None and lane.entry.attributes.get(spans.HTTP_STATUS) in _REFUSED


def _remark(fit: Fit, recorded: Who, live: Who) -> str:
    if fit is Fit.NEVER:
        return _REMARKS[fit].format("without credentials" if live.credentials else "with credentials")
    if fit is Fit.UNKNOWN:
        return _REMARKS[fit].format(recorded.why_hidden())
    return _REMARKS.get(fit, "")
