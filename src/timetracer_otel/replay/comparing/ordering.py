"""Which writes come in another order than they were recorded in, when parallel ones may come in any.

A call has a *trail*: the branches of its lane that led to it, each with the moment when the branch before started it
(:data:`spans.BRANCH`). One call is certain to come before another only if it had ended when the other, or the branch
that led to the other from where their trails part, was begun: both ends of that are steps of one sequential flow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from timetracer_otel.replay.comparing.differences import Difference

__all__ = ["Happened", "Write", "reordered"]


@dataclass(frozen=True, slots=True)
class Happened:
    """A call in one run.

    Attributes:
        start: nanoseconds since the epoch.
        end: likewise.
        trail: see :data:`spans.BRANCH`; empty in the lane's own flow.
    """

    start: int
    end: int
    trail: str = ""

    def is_before(self, other: Happened) -> bool:
        """Whether this call had to come first."""
        return self.end <= other._begun(self.trail.split())

    def _begun(self, others: Sequence[str]) -> int:
        """When the flow that both trails share began what led to this call."""
        mine = self.trail.split()
        shared = next((n for n, (one, other) in enumerate(zip(mine, others, strict=False)) if one != other), None)
        depth = min(len(mine), len(others)) if shared is None else shared
        return int(mine[depth].partition("@")[2]) if depth < len(mine) else self.start


@dataclass(frozen=True, slots=True)
class Write:
    """A call that may change something, in both runs.

    Attributes:
        name: for people.
        span: the recorded one's id.
        then: as recorded.
        now: in the second run.
    """

    name: str
    span: str
    then: Happened
    now: Happened


def reordered(writes: Sequence[Write]) -> Iterator[Difference]:
    """Say which writes come before others that came before them for sure, and do now for sure come behind them.

    Args:
        writes: in the order of the second run.
    """
    flows: dict[str, list[Write]] = defaultdict(list)
    for write in writes:
        flows[write.now.trail].append(write)
    told: set[tuple[str, str]] = set()
    for earlier, later in chain(pairwise(writes), *map(pairwise, flows.values())):
        pair = earlier.span, later.span
        if pair not in told and later.then.is_before(earlier.then) and earlier.now.is_before(later.now):
            told.add(pair)
            yield Difference("reordered", f"{earlier.name} before {later.name}", span=earlier.span)
