"""One changed line is one difference: what follows from a call that nothing answered is told beneath it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from timetracer_otel.replay.comparing.differences import Difference

__all__ = ["gathered"]


def gathered(
    calls: Iterable[Difference], response: Iterable[Difference], answered: Sequence[Mapping[str, Any]]
) -> list[Difference]:
    """Put beneath each miss what followed from it.

    A later miss did when the app had no answer in between, or asked for the same kind again (a loop). A recorded call
    that was not asked for did when it stands behind the miss; the response did when there was any miss.

    Args:
        calls: what differs of a lane's calls.
        response: what differs of the response, or of what a script wrote and how it ended.
        answered: the notes of the calls that were answered.
    """
    found = list(calls)
    if any(note.get("assumed") for note in answered):
        response = [replace(one, assumed=True) for one in response]
    roots: list[_Root] = []
    for one in sorted((one for one in found if one.number), key=lambda one: one.number):
        if roots and roots[-1].leads_to(one, answered):
            roots[-1].followed.append(one)
        else:
            roots.append(_Root(one, answered))
    rest = [one for one in found if not one.number]
    for one in [one for one in rest if one.kind == "missing"]:
        root = next((root for root in reversed(roots) if root.start <= one.start), None)
        if root is not None:
            root.followed.append(one)
            rest.remove(one)
    if roots:
        roots[0].followed += response
        return [*(root.whole() for root in roots), *rest]
    return [*rest, *response]


class _Root:
    """A call that nothing answered, and that did not follow from another.

    Args:
        difference: as it is told.
        answered: the notes of the calls that were answered.
    """

    def __init__(self, difference: Difference, answered: Sequence[Mapping[str, Any]]) -> None:
        self._difference = difference
        before = (note["start"] for note in answered if note["number"] < difference.number and "start" in note)
        self.start = difference.start or max(before, default=0)
        self.followed: list[Difference] = []

    def leads_to(self, other: Difference, answered: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a later miss followed from this one."""
        if (other.kind, other.what) == (self._difference.kind, self._difference.what):
            return True
        return not any(self._difference.number < note["number"] < other.number for note in answered)

    def whole(self) -> Difference:
        """The difference with what followed from it."""
        return replace(self._difference, consequences=tuple(self.followed))
