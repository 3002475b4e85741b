"""Branches of work that starts its own successor, without end."""

from __future__ import annotations

from tests.entries.doubles import NotedLane, NotingRuntime
from timetracer_otel.seams.lanes import DEEPEST, Branch


def test_a_timer_that_starts_itself_again_has_no_endless_trail() -> None:
    """From the deepest branch on, the next ones are beside it, each with a name of its own."""
    branch = Branch(NotedLane(NotingRuntime(), None))
    names = []
    for _ in range(3 * DEEPEST):
        branch = branch.child("tick")
        names.append(branch.path)
    assert len(set(names)) == len(names)
    assert max(map(len, names)) < 3 * DEEPEST
    assert len(branch.trail.split()) == DEEPEST
