"""Finds the recorded lane of an entry by what it says of itself, in the order in which that is sure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeAlias

from timetracer_otel.cassette.kinds import Chosen, Claim, Follower, Outlined
from timetracer_otel.cassette.model import Lane, Span

__all__ = ["Keys", "by_keys"]

Keys: TypeAlias = Callable[[Any], Iterable[Hashable]]
"""What an entry can be found by, the surest first."""


class _KeyFollower:
    """The recorded entries of one kind. The lanes of a target are read when the first entry with it comes."""

    def __init__(
        self,
        outlines: Sequence[Outlined],
        read: Callable[[str], Lane | None],
        claim: Claim,
        recorded: Callable[[Span], Iterable[Hashable]],
        live: Keys,
    ) -> None:
        self._read = read
        self._claim = claim
        self._recorded = recorded
        self._live = live
        self._by_target: dict[str, list[str]] = defaultdict(list)
        self._by_key: dict[str, dict[Hashable, deque[str]]] = {}
        self._followed: dict[str, int] = defaultdict(int)
        for outline in outlines:
            self._by_target[outline.target].append(outline.id)

    def wants_whole(self, entry: Any) -> bool:
        """Such entries are whole when they begin."""
        return False

    def choose(self, entry: Any) -> Chosen:
        """Give the lane that an entry follows, and count it as followed.

        Of those that its surest key finds, the next in turn, so that alike ones are followed in recorded order.

        Args:
            entry: as it begins.
        """
        keys = self._keys(entry.target)
        alike = next((found for key in self._live(entry) if (found := keys.get(key))), None)
        while alike:
            lane_id = alike[0]
            alike.rotate(-1)
            followed = self._followed[lane_id]
            self._followed[lane_id] += 1
            if self._claim(f"{lane_id}-{followed}"):
                return Chosen(self._read(lane_id))
        return Chosen(None)

    def _keys(self, target: str) -> dict[Hashable, deque[str]]:
        known = self._by_key.get(target)
        if known is None:
            known = {}
            for lane_id in self._by_target.get(target, ()):
                lane = self._read(lane_id)
                for key in self._recorded(lane.entry) if lane is not None and lane.entry is not None else ():
                    known.setdefault(key, deque()).append(lane_id)
            self._by_key[target] = known
        return known

    def forked(self) -> None:
        """There is no lock."""


def by_keys(
    recorded: Callable[[Span], Iterable[Hashable]], live: Keys
) -> Callable[[Sequence[Outlined], Callable[[str], Lane | None], Claim], Follower]:
    """Give the follower of a kind whose entries are found by keys.

    Args:
        recorded: the keys of a recorded entry.
        live: those of a live one.
    """
    return lambda outlines, read, claim: _KeyFollower(outlines, read, claim, recorded, live)
