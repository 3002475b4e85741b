"""The recorded calls of a lane or a session, ready to be looked up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from heapq import merge
from operator import itemgetter
from typing import Final, TypeAlias

from timetracer_otel import spans
from timetracer_otel.cassette.model import Followers, Span
from timetracer_otel.seams import Description, Value, value_forms

__all__ = ["Buckets", "Index", "Recorded", "Unheld"]

Template: TypeAlias = tuple[Value | None, ...]
_Exact: TypeAlias = tuple[tuple[str, ...], bytes, tuple[Value, ...]]
_Shaped: TypeAlias = tuple[tuple[str, ...], bytes, Template]
_MS: Final = 1_000_000
_WHEN: Final = itemgetter(0, 1)
"""Of what happened, the time; a request before a reply."""
_BEFORE_CALLS: Final = 5_000_000_000
"""Nanoseconds that a session is taken to have run before its first call."""


@dataclass(frozen=True)
class Recorded:
    """A recorded call with what matching needs of it.

    Args:
        span: the call.
        description: what it asked.
        replied: gives the values in a call's reply; called when there are values to compare with them.
        branch: of its lane, as :func:`seams.branches.branch_in` names it.
    """

    span: Span
    description: Description
    replied: Callable[[Span], Iterable[Value]]
    branch: str = ""

    @cached_property
    def reply_values(self) -> frozenset[Value]:
        """The values in its reply."""
        return frozenset(self.replied(self.span))


class Buckets(dict[object, list[Recorded]]):
    """Calls by what they have in common, in order of start; and by what :meth:`Index.preferences` names of that."""

    def add(self, call: Recorded, bucket: object, preferred: Iterable[object]) -> None:
        """Add a call, also to the places where it is looked for first."""
        for key in (bucket, *preferred):
            self.setdefault(key, []).append(call)


class Unheld:
    """The calls of long streams, which nothing asked for and which are left in a file. They never change.

    Args:
        streams: by the call that opened each, see :attr:`Lane.followers`.
        described: gives recorded calls as a matcher takes them.
    """

    def __init__(
        self, streams: Mapping[str, Followers], described: Callable[[Iterable[Span]], Iterator[Recorded]]
    ) -> None:
        self.streams = streams
        self.described = described

    def __iter__(self) -> Iterator[Recorded]:
        return self.behind({})

    def behind(self, told: Mapping[str, int]) -> Iterator[Recorded]:
        """Read those that were not told, in order of start.

        Args:
            told: how many were, of each stream.
        """
        left = [
            map(stream.__getitem__, range(told.get(opener, 0), len(stream.starts)))
            for opener, stream in self.streams.items()
        ]
        return self.described(merge(*left, key=lambda span: span.start))


class Index:
    """The calls of one recorded lane or session, ready to be looked up. It never changes once built.

    Args:
        calls: in order of start.
        brought: whether the request that started the lane brought a value, or the session knows it.
        began: when the recorded lane began, in nanoseconds; None for a session, which only its calls tell.
        unheld: those of its calls that are left in a file.
    """

    def __init__(
        self,
        calls: Iterable[Recorded],
        brought: Callable[[Value], bool],
        began: int | None = None,
        unheld: Unheld | None = None,
    ) -> None:
        self.calls = list(calls)
        self.unheld = unheld or Unheld({}, lambda _: iter(()))
        self._brought = brought
        if began is None:
            began = min((call.span.start for call in self.calls), default=0) - _BEFORE_CALLS
        self.ran = began // _MS, max((call.span.end for call in self.calls), default=0) // _MS
        self.same = Buckets()
        """By what they asked to the byte, see :attr:`Description.same`."""
        self.by_key: dict[tuple[str, ...], list[Recorded]] = defaultdict(list)
        self.branched = any(call.branch for call in self.calls)
        for call in self.calls:
            asked = call.description
            self.same.add(call, asked.same, self.preferences(asked.same, asked.preference, call.branch))
            self.by_key[asked.key].append(call)

    @cached_property
    def described(self) -> Described:
        """The calls by their whole descriptions; made when one asks what was not recorded to the byte."""
        return Described(self, _generated(self.calls, self.unheld, self._brought))

    @cached_property
    def asked(self) -> Mapping[str, list[Recorded]]:
        """The calls that a lane cannot but ask, by lane: a session's index has other processes' too."""
        found: dict[str, list[Recorded]] = defaultdict(list)
        for call in self.calls:
            if spans.FOLLOWS not in call.span.attributes and not call.description.probe:
                found[call.span.lane_id].append(call)
        return found

    @cached_property
    def peers(self) -> dict[str, None]:
        """The peers that the calls name, in order of the first call to each."""
        return dict.fromkeys(call.description.peer for call in self.calls if call.description.peer)

    @cached_property
    def by_span(self) -> dict[str, Recorded]:
        """The calls by the ids of their spans."""
        return {call.span.span_id: call for call in self.calls}

    def preferences(self, bucket: object, asker: bytes, branch: str) -> Iterator[object]:
        """Where to look first for calls that are alike otherwise, the best place first.

        Args:
            bucket: what they have in common.
            asker: whom the call is for, see :attr:`Description.preference`.
            branch: that asks.
        """
        if asker and self.branched:
            yield bucket, asker, branch
        if asker:
            yield bucket, asker
        if self.branched:
            yield bucket, branch


class Described:
    """The calls of an index by their whole descriptions.

    Args:
        index: of the calls.
        generated: values that may differ in a replay.
    """

    def __init__(self, index: Index, generated: frozenset[Value]) -> None:
        self.generated = generated
        self.exact, self.shaped = Buckets(), Buckets()
        for call in index.calls:
            asked = call.description
            exact: _Exact = (asked.key, asked.shape, asked.sorted(asked.values))
            template = asked.sorted(tuple(None if value in generated else value for value in asked.values))
            shaped: _Shaped = (asked.key, asked.shape, template)
            self.exact.add(call, exact, index.preferences(exact, asked.preference, call.branch))
            self.shaped.add(call, shaped, index.preferences(shaped, asked.preference, call.branch))


def _generated(calls: list[Recorded], unheld: Unheld, brought: Callable[[Value], bool]) -> frozenset[Value]:
    known: set[Value] = set()
    generated: set[Value] = set()
    if not any(call.description.values for call in calls):
        return frozenset()
    events = [(call.span.start, 0, call) for call in calls] + [(call.span.end, 1, call) for call in calls]
    events.sort(key=_WHEN)
    for _, is_reply, call in merge(events, ((one.span.end, 1, one) for one in unheld), key=_WHEN):
        if is_reply:
            replied = call.reply_values - generated
            known.update(key for value in replied for key in value_forms.known_by(value))
            continue
        for value in call.description.values:
            if value not in generated and known.isdisjoint(value_forms.known_by(value)):
                (known if brought(value) else generated).add(value)
    return frozenset(generated)
