"""Which recorded lane an incoming HTTP request follows."""

from __future__ import annotations

import heapq
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.kinds import Chosen, Claim, Outlined
from timetracer_otel.cassette.model import Lane
from timetracer_otel.families.kinds import _http_bodies as bodies
from timetracer_otel.families.kinds._http_credentials import Fit, Who
from timetracer_otel.families.kinds._http_request import Request

__all__ = ["HttpFollower"]

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

    @property
    def is_new(self) -> bool:
        """Whether one of them was not followed yet."""
        return self.waiting[0][0] == 0

    def follow(self, claim: Callable[[str], bool]) -> str | None:
        """The id of the least followed, then the earliest lane; counts it as followed.

        Args:
            claim: says whether no other process of the replay has followed the lane that often.

        Returns:
            None when another process has.
        """
        followed, number, lane = self.waiting[0]
        heapq.heapreplace(self.waiting, (followed + 1, number, lane))
        return lane if claim(f"{lane}-{followed}") else None


class _Pool:
    """Recorded lanes by the body of their request, then by its headers. They are read as far as a request needs.

    Args:
        outlines: of the lanes, in order of start.
        read: gives a lane.
    """

    def __init__(self, outlines: Iterable[Outlined], read: Callable[[str], Lane | None]) -> None:
        self._groups: dict[bodies.Key, dict[_Said, _Alike]] = defaultdict(dict)
        self._cuts: list[int] = []
        self._rest = enumerate(outlines)
        self._read = read

    def groups(self, request: Request, said: _Said) -> list[_Alike]:
        """The lanes whose request had the same body, by who asked and their headers; only those that are the same.

        Args:
            request: that says so.
            said: its headers that count, and who asks.
        """
        whole = next(bodies.live_keys(request, ()))
        while (same := self._groups.get(whole, {}).get(said)) is None or not same.is_new:
            if not self._read_more():
                break  # else none of the rest is better: all of them began later
        keys = list(bodies.live_keys(request, self._cuts))
        exact = [self._groups[key][said] for key in keys if said in self._groups.get(key, {})]
        return exact or [group for key in keys for group in self._groups.get(key, {}).values()]

    def _read_more(self) -> bool:
        """Read the next lane; False behind the last."""
        number, outline = next(self._rest, (0, None))
        if outline is None:
            return False
        lane = self._read(outline.id)
        if lane is not None:
            recorded = bodies.recorded_headers(lane)
            said = _counting(recorded), Who.of(recorded, bodies.recorded_target(lane))
            key = bodies.recorded_key(lane)
            if key.length not in {bodies.WHOLE, *self._cuts}:
                self._cuts = sorted([*self._cuts, key.length], reverse=True)
            alike = self._groups[key].setdefault(said, _Alike(*said, key.certainty))
            alike.accepted |= not _turned_away(lane)
            heapq.heappush(alike.waiting, (0, number, lane.id))
        return True


class HttpFollower:
    """The recorded requests, looked up by what a live one says.

    Args:
        outlines: of them.
        read: gives one by its id.
        claim: takes a name that only one process of the replay may have.
    """

    def __init__(self, outlines: Sequence[Outlined], read: Callable[[str], Lane | None], claim: Claim) -> None:
        self._read = read
        self._claim = claim
        self._by_target: dict[_Target, list[Outlined]] = defaultdict(list)
        self._by_trace: dict[tuple[str, _Target], list[Outlined]] = defaultdict(list)
        self._pools: dict[tuple[str, _Target], _Pool] = {}
        self._with_body: set[_Target] = set()
        self._lock = threading.Lock()
        for outline in outlines:
            target = outline.method, redaction.blanked_url(outline.target)
            self._by_target[target].append(outline)
            self._by_trace[outline.trace_id, target].append(outline)
            if outline.has_body:
                self._with_body.add(target)

    def forked(self) -> None:
        """Be usable in a forked child, whose copy of the lock may be held by a thread that is not there."""
        self._lock = threading.Lock()

    def wants_whole(self, request: Request) -> bool:
        """Whether the body is needed to tell the candidates apart."""
        return _target(request) in self._with_body

    def choose(self, request: Request) -> Chosen:
        """Give the lane that a request follows, and count it as followed.

        One of the trace that ``traceparent`` names, with the same method and target; else by method, target and body.
        A request with credentials never follows one that was recorded without, nor the other way round. Of several the
        one with the same credentials, then of the same person, then most alike cookies, then most equal headers, then
        the least followed, then the earliest.

        Args:
            request: with its body, when :meth:`wants_whole` said so.
        """
        trace_id = (request.header("traceparent") or "").partition("-")[2].partition("-")[0]
        mine, who = said = _counting(request.headers), Who.of(request.headers, request.target)
        refused = ""
        with self._lock:
            for pool in self._pools_of(_target(request), trace_id):
                while (
                    best := max(pool.groups(request, said), key=partial(_rank, mine, who), default=None)
                ) is not None:
                    fit = who.fit(best.who)
                    if fit is Fit.NEVER:
                        refused = _remark(fit, best.who, who)
                        break
                    if (lane := best.follow(self._claim)) is not None:
                        return Chosen(self._read(lane), _remark(fit, best.who, who))
        return Chosen(None, refused)

    def _pools_of(self, target: _Target, trace_id: str) -> Iterator[_Pool]:
        """The recorded requests of that method and target: those of the trace, then all."""
        for trace in dict.fromkeys((trace_id, "")):
            outlines = self._by_trace.get((trace, target)) if trace else self._by_target.get(target)
            if outlines:
                key = (trace, target)
                if key not in self._pools:
                    self._pools[key] = _Pool(outlines, self._read)
                yield self._pools[key]


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
