"""The matching ladder: which recorded call answers a live one. Pure: it knows descriptions, not libraries.

A value is *generated* when it first turns up in a call's request: the request that started the lane did not bring it,
no earlier reply did, nor the session. Only generated values may differ between recording and replay, and only
one-to-one. So a lookup replaces them by a placeholder on both sides, and costs the same however large the cassette is.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from timetracer_otel import spans
from timetracer_otel.cassette.model import Lane, Span
from timetracer_otel.replay.answering.long_streams import Told
from timetracer_otel.replay.answering.recorded_calls import Buckets, Index, Recorded
from timetracer_otel.replay.comparing.values import from_difference
from timetracer_otel.seams import Description, Value, value_clock, value_forms

__all__ = ["Match", "Matcher", "reached"]

_now = time.time_ns
"""The real clock: a replay gives the app another one."""
_MS = 1_000_000
_ASKED = "asked"
"""Where the first of the unused calls that a lane asked is kept, with its id."""
_Item: TypeAlias = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """The answer to a live call.

    Args:
        recorded: the call that answers.
        how: ``exact``, ``shape``, ``repeated``, ``session``, ``borrowed`` or ``nearest``.
        changed: of a shape match, whether a value differs that could have been the same.
    """

    recorded: Recorded
    how: str
    changed: bool = False


class Bindings(Mapping[Value, Value]):
    """The first of the pairs that a lane has bound: what is bound later, by other threads, is not seen in here.

    It is no copy, which would cost more with every call.

    Args:
        bound: by recorded value, the pair's number and the live value; only ever added to.
        count: how many pairs.
    """

    __slots__ = ("_bound", "_count")

    def __init__(self, bound: Mapping[Value, tuple[int, Value]], count: int) -> None:
        self._bound = bound
        self._count = count

    def __getitem__(self, value: Value) -> Value:
        number, live = self._bound[value]
        if number >= self._count:
            raise KeyError(value)
        return live

    def __iter__(self) -> Iterator[Value]:
        return iter([*self._bound][: self._count])

    def __len__(self) -> int:
        return self._count


@dataclass
class _Connected:
    """The connections that a lane has made behind its latest call."""

    since: int = 0
    """The end of that call, as it was recorded."""
    reached: int = 0
    """The same, or the end of the last failure to connect behind it."""
    made: int = 0

    def is_first(self, reached: int, failure: Span) -> bool:
        if reached != self.reached:
            self.since, self.reached, self.made = reached, reached, 0
        begun = map(int, (failure.text(spans.CONNECTED) or "").split())
        is_first = self.made < sum(one > self.since for one in begun)
        self.made += is_first
        self.reached = reached if is_first else max(reached, failure.end)
        return is_first


@dataclass
class Matcher:
    """One live lane that follows a recorded one: what is used up, and which live value stands for which recorded one.

    Args:
        index: of the recorded lane.
        brought: whether the live request brought a value, or the session knows it.
    """

    index: Index
    brought: Callable[[Value], bool]
    used: set[str] = field(default_factory=set)
    reached: int = 0
    """The end of the latest recorded call that answered, in nanoseconds since the epoch."""
    to_recorded: dict[Value, Value] = field(default_factory=dict)
    to_live: dict[Value, Value] = field(default_factory=dict)
    _same: set[Value] = field(default_factory=set)
    """Generated values that did not change: they stand for themselves. Of a suite's session there are many."""
    _served: list[Recorded] = field(default_factory=list)
    _exact: list[Recorded] = field(default_factory=list)
    """Calls that were the same to the byte, whose values are bound when one is not."""
    bindings: Bindings = field(default_factory=lambda: Bindings({}, 0))
    """The live value of each recorded one that differs from it, for now."""
    _bound: dict[Value, tuple[int, Value]] = field(default_factory=dict)
    _known: set[Value] = field(default_factory=set)
    _began: int = field(default_factory=_now)
    _first: dict[object, int] = field(default_factory=dict)
    _connected: _Connected = field(default_factory=_Connected)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        """Nothing of long streams was told yet."""
        self._told = Told(self.index.unheld)

    def match(self, asked: Description, *, branch: str = "", may_bind: bool = True) -> Match | None:
        """Find what answers a live call and use it up.

        Args:
            asked: the live call.
            branch: of the lane, that asks: what siblings ask alike may have been answered differently.
            may_bind: whether generated values may differ.

        Returns:
            The match, None when this lane has none.
        """
        with self._lock:
            if (call := self._same_to_the_byte(asked, branch)) is not None:
                return self._use(call, "exact")
            self._bind_exact()
            values = asked.values and self._translated(asked)
            bucket = (asked.key, asked.shape, asked.sorted(values) if asked.unordered else values)
            exact = self.index.described.exact
            if (call := self._next_ranked(exact, bucket, asked.preference, branch)) is not None:
                if values:
                    self._bind_same(asked.values, values)
                return self._use(call, "exact" if values == asked.values else "translated")
            if may_bind and asked.values and (bound := self._bindable(asked, branch)) is not None:
                call, changed = bound
                return self._use(call, "shape", changed=changed)
            if asked.read and (same := exact.get(bucket)):
                alike = exact.get((bucket, asked.preference)) or same
                return self._use(alike[-1], "repeated")
            return None

    def _same_to_the_byte(self, asked: Description, branch: str) -> Recorded | None:
        """The next unused call that asked the same, unless a value in it stands for another one by now."""
        if self.to_recorded and not self._stands_for_itself(asked):
            return None
        call = self._next_ranked(self.index.same, asked.same, asked.preference, branch)
        if call is not None:
            self._exact.append(call)
        return call

    def _stands_for_itself(self, asked: Description) -> bool:
        """Whether no value that is asked stands for another one."""
        return not self.to_recorded or self.to_recorded.keys().isdisjoint(asked.values)

    def _bind_exact(self) -> None:
        """Bind what was equal in calls that were the same to the byte: it is first needed when one is not."""
        exact, self._exact = self._exact, []
        for call in exact:
            if values := call.description.values:
                self._bind_same(values, values)

    def _next_ranked(self, among: Buckets, bucket: object, asker: bytes, branch: str) -> Recorded | None:
        """The first of :meth:`_ranked`."""
        if asker or self.index.branched:
            return next(self._ranked(among, bucket, asker, branch), None)
        return self._next_unused(bucket, among.get(bucket, ()))

    def _ranked(self, among: Buckets, bucket: object, asker: bytes, branch: str) -> Iterator[Recorded]:
        """The bucket's unused calls, those of the asker and the branch first."""
        for key in self.index.preferences(bucket, asker, branch):
            yield from self._unused(key, among.get(key, ()))
        yield from self._unused(bucket, among.get(bucket, ()))

    def comes_first(self, one: Description, other: Description) -> bool:
        """Whether an unused call is exactly the one description, and none that is the other began before it."""
        with self._lock:
            first, second = self.upcoming(one), self.upcoming(other)
            return first is not None and (second is None or first.span.start < second.span.start)

    def upcoming(self, asked: Description) -> Recorded | None:
        """The first unused call that is exactly a description; it stays unused."""
        with self._lock:
            if self._stands_for_itself(asked):
                same = self.index.same.get(asked.same, ())
                if (call := self._next_unused(asked.same, same)) is not None:
                    return call
            self._bind_exact()
            bucket = (asked.key, asked.shape, asked.sorted(self._translated(asked)))
            return self._next_unused(bucket, self.index.described.exact.get(bucket, ()))

    def _translated(self, asked: Description) -> tuple[Value, ...]:
        """The recorded values that the live ones stand for."""
        return tuple(self.to_recorded.get(value, value) for value in asked.values)

    def serve(self, span: Span) -> None:
        """Count a call as answered that its integration chose."""
        with self._lock:
            if not self._told.take(span):
                self.used.add(span.span_id)
            self.reached = max(self.reached, span.end)

    def nearest(self, call: Recorded) -> Match:
        """Let a recorded call answer that asked something else.

        Args:
            call: of this lane, or of another one.
        """
        with self._lock:
            if call.span.span_id not in self.index.by_span:
                return Match(call, "nearest again", changed=True)
            how = "nearest again" if call.span.span_id in self.used else "nearest"
            return self._use(call, how, changed=True)

    def next(self) -> Recorded | None:
        """The earliest call not answered yet."""
        with self._lock:
            asked = self._next_unused(None, self.index.calls)
            return self._told.next(math.inf if asked is None else asked.span.start) or asked

    def connects_first(self, failure: Span) -> bool:
        """Whether a connection is made before a recorded one fails, as one was behind the call before; it counts.

        Where calls came between, they tell the order: a live pool may need fewer connections than the recorded one.
        """
        with self._lock:
            return self._connected.is_first(self.reached, failure)

    def has_reached(self, span: Span) -> bool:
        """Whether all is answered that the recorded lane had asked before a call which nothing asked for."""
        with self._lock:
            upcoming = self._next_unused((_ASKED, span.lane_id), self.index.asked.get(span.lane_id, ()))
            return upcoming is None or upcoming.span.start >= span.start

    def unused(self) -> list[Recorded]:
        """The calls not answered."""
        held = [call for call in self.index.calls if call.span.span_id not in self.used]
        return [*held, *self._told.rest()]

    def _next_unused(self, bucket: object, calls: Sequence[Recorded]) -> Recorded | None:
        """The bucket's first unused call; what is used up at its head is skipped once and for all."""
        start = self._first.get(bucket, 0)
        while start < len(calls) and calls[start].span.span_id in self.used:
            start += 1
        self._first[bucket] = start
        return calls[start] if start < len(calls) else None

    def _unused(self, bucket: object, calls: Sequence[Recorded]) -> Iterator[Recorded]:
        """The bucket's unused calls."""
        self._next_unused(bucket, calls)
        places = range(self._first[bucket], len(calls))
        rest = map(calls.__getitem__, places)  # neither a slice nor islice, which step over the head
        return (call for call in rest if call.span.span_id not in self.used)

    def _use(self, call: Recorded, how: str, *, changed: bool = False) -> Match:
        self.used.add(call.span.span_id)
        self.reached = max(self.reached, call.span.end)
        self._served.append(call)
        return Match(call, how, changed)

    def _bindable(self, asked: Description, branch: str) -> tuple[Recorded, bool] | None:
        """What answers when fresh values may differ, and whether one does that could have been the same."""
        fresh = {value for value in asked.values if self._is_bound(value) or self._is_fresh(value)}
        template = asked.sorted(tuple(None if value in fresh else value for value in asked.values))
        bucket = (asked.key, asked.shape, template)
        for call in self._ranked(self.index.described.shaped, bucket, asked.preference, branch):
            new = self._binding(asked.values, self._aligned(asked, call.description, fresh), fresh)
            if new is None or not self._fits(new, call):
                continue
            changed = any(mine != theirs and not self._is_new_each_time(theirs, mine) for mine, theirs in new.items())
            self.to_recorded |= new
            self.to_live |= {theirs: mine for mine, theirs in new.items()}
            self._bind((theirs, mine) for mine, theirs in new.items() if theirs != mine)
            return call, changed
        return None

    def _fits(self, new: Mapping[Value, Value], call: Recorded) -> bool:
        then, now = call.span.start // _MS, _now() // _MS
        return all(value_clock.as_far_from(theirs, mine, then, now) for mine, theirs in new.items())

    def _is_new_each_time(self, recorded: Value, live: Value) -> bool:
        return value_clock.new_each_time(recorded, live, self.index.ran, (self._began // _MS, _now() // _MS))

    def _aligned(self, asked: Description, recorded: Description, fresh: Container[Value]) -> tuple[Value, ...]:
        """The recorded values in the order of the live ones, where order means nothing: equal ones, then the rest."""
        if not asked.unordered:
            return recorded.values
        aligned, translated = list(recorded.values), self._translated(asked)
        for place in asked.unordered:
            theirs = Counter(_items(recorded.values, place))
            items: list[_Item | None] = []
            for item in _items(translated, place):
                items.append(item if theirs[item] > 0 else None)
                theirs[item] -= 1
            live = _items(asked.values, place)
            left = sorted((n for n, item in enumerate(items) if item is None), key=lambda n: _told(live[n], fresh))
            rest = sorted((+theirs).elements(), key=lambda item: _told(item, self.index.described.generated))
            for number, item in zip(left, rest, strict=True):
                items[number] = item
            aligned[place[0] : place[0] + place[1] * place[2]] = [value for item in items for value in item or ()]
        return tuple(aligned)

    def _binding(
        self, live: tuple[Value, ...], recorded: tuple[Value, ...], fresh: Container[Value]
    ) -> dict[Value, Value] | None:
        """What binding pair by pair, one to one, would add; None when some pair does not fit."""
        to_recorded: dict[Value, Value] = {}
        to_live: dict[Value, Value] = {}
        for mine, theirs in zip(live, recorded, strict=True):
            if mine not in fresh:
                if mine != theirs:  # in a list without order
                    return None
                continue
            if mine != theirs and not self._same.isdisjoint((mine, theirs)):
                return None
            known = to_recorded.get(mine, self.to_recorded.get(mine, theirs))
            if known != theirs or to_live.get(theirs, self.to_live.get(theirs, mine)) != mine:
                return None
            to_recorded[mine], to_live[theirs] = theirs, mine
        return {mine: theirs for mine, theirs in to_recorded.items() if not self._is_bound(mine)}

    def _is_bound(self, live: Value) -> bool:
        return live in self.to_recorded or live in self._same

    def _bind_same(self, live: tuple[Value, ...], recorded: tuple[Value, ...]) -> None:
        """A generated value that did not change stands for itself from now on, as any other would."""
        for mine, theirs in zip(live, recorded, strict=True):
            if theirs in self.index.described.generated and theirs not in self.to_live:
                if mine == theirs:
                    self._same.add(theirs)
                else:
                    self.to_recorded[mine], self.to_live[theirs] = theirs, mine
                    self._bind([(theirs, mine)])

    def _bind(self, pairs: Iterable[tuple[Value, Value]]) -> None:
        for theirs, mine in pairs:
            self._bound[theirs] = len(self._bound), mine
        self.bindings = Bindings(self._bound, len(self._bound))

    def _is_fresh(self, value: Value) -> bool:
        for call in self._served:
            replied = (self.to_live.get(known, known) for known in call.reply_values)
            self._known.update(key for value in replied for key in value_forms.known_by(value))
        self._served.clear()
        return self._known.isdisjoint(value_forms.known_by(value)) and not self.brought(value)


def _items(values: tuple[Value, ...], place: tuple[int, int, int]) -> list[_Item]:
    """The items of a list without order, see :class:`Description`."""
    start, count, width = place
    return [values[at : at + width] for at in range(start, start + count * width, width)]


def _told(item: _Item, free: Container[Value]) -> list[Value]:
    """What of an item must be equal, by which items that may be one another are sorted alike."""
    return [b"" if value in free else value for value in item]


def reached(recorded: Lane | None, matcher: Matcher | None) -> int:
    """Give how far a recorded lane has been followed, in the time of the recording.

    Args:
        recorded: the lane; None where a live one follows none.
        matcher: of the live one.
    """
    start = None if recorded is None else recorded.spans[0] if recorded.entry is None else recorded.entry
    return max(0 if matcher is None else matcher.reached, 0 if start is None else start.start)


def first_difference(recorded: object, asked: object, path: str = "") -> str | None:
    """Say where two JSON-like values first differ.

    Args:
        recorded: what the cassette holds.
        asked: what the app asks now.
        path: of both, dotted.

    Returns:
        ``path: recorded … , asked …``; None when they are equal.
    """
    if isinstance(recorded, Mapping) and isinstance(asked, Mapping):
        for key in [*recorded, *(key for key in asked if key not in recorded)]:
            here = f"{path}.{key}" if path else str(key)
            if key not in recorded or key not in asked:
                side = ("recorded", recorded[key]) if key in recorded else ("asked", asked[key])
                return f"{here}: only {side[0]}, {_short(side[1])}"
            if (found := first_difference(recorded[key], asked[key], here)) is not None:
                return found
        return None
    if isinstance(recorded, list) and isinstance(asked, list):
        for number, (mine, theirs) in enumerate(zip(recorded, asked, strict=False)):
            if (found := first_difference(mine, theirs, f"{path}[{number}]")) is not None:
                return found
        return None if len(recorded) == len(asked) else f"{path}: {len(recorded)} items recorded, {len(asked)} asked"
    return None if recorded == asked else f"{path or 'value'}: {_sides(recorded, asked)}"


def _sides(recorded: object, asked: object) -> str:
    recorded, asked = from_difference(recorded, asked)
    return f"{_short(recorded)} recorded, {_short(asked)} asked"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "…"  # noqa: PLR2004 - one terminal line
