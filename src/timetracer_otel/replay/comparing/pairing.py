"""The calls of two recordings of one request, side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from timetracer_otel.replay.comparing.calls import call_name
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.ordering import Happened, Write, reordered
from timetracer_otel.replay.comparing.values import FieldDifference, differences, pairs_by_likeness

__all__ = ["PairedCall", "compare_lists", "pairs"]


@dataclass(frozen=True, slots=True)
class PairedCall:
    """A call of a recording.

    Attributes:
        span: its id.
        key: its readable address.
        identity: equal for calls that ask the same.
        shown: what it asks, JSON-like.
        read: whether it changes nothing.
        start: nanoseconds since the epoch.
        end: likewise.
        answered_by: the recorded call that answered it, when this is the trace of a replay.
        trail: see :data:`spans.BRANCH`.
    """

    span: str
    key: tuple[str, ...]
    identity: Hashable
    shown: object
    read: bool
    start: int
    end: int
    answered_by: str = ""
    trail: str = ""

    @property
    def happened(self) -> Happened:
        """When, and in which branch."""
        return Happened(self.start, self.end, self.trail)


def compare_lists(first: Sequence[PairedCall], second: Sequence[PairedCall]) -> Iterator[Difference]:
    """Say what is missing in the second, what is extra there, what is changed, what stands in another order.

    Args:
        first: calls in order of start.
        second: likewise.
    """
    paired = {}
    for mine, theirs, fields in pairs(first, second):
        paired[mine] = theirs
        if fields:
            yield Difference("changed", call_name(first[mine].key), fields, span=first[mine].span)
    taken = set(paired.values())
    for number, call in enumerate(second):
        if number not in taken:
            yield Difference("extra", call_name(call.key), span=call.span)
    of_second = sorted((theirs, mine) for mine, theirs in paired.items() if not first[mine].read)
    both = [(first[mine], second[theirs]) for theirs, mine in of_second]
    yield from reordered([Write(call_name(one.key), one.span, one.happened, two.happened) for one, two in both])
    for number, call in enumerate(first):
        if number not in paired:
            yield Difference("missing", call_name(call.key), span=call.span)


def pairs(
    first: Sequence[PairedCall], second: Sequence[PairedCall]
) -> Iterator[tuple[int, int, tuple[FieldDifference, ...]]]:
    """Say which call of the first is which of the second, and in which fields these differ.

    Args:
        first: calls in order of start.
        second: likewise.
    """
    paired = _same(first, second)
    for mine, theirs in sorted(paired.items()):
        yield mine, theirs, tuple(differences(first[mine].shown, second[theirs].shown))
    for mine, theirs, fields in _alike(first, second, paired):
        yield mine, theirs, tuple(fields)


def _same(first: Sequence[PairedCall], second: Sequence[PairedCall]) -> dict[int, int]:
    """Pair what belongs together for sure: a replay's call with the one that answered it, and what asks the same."""
    by_span = {call.span: number for number, call in enumerate(first)}
    paired: dict[int, int] = {}
    for number, call in enumerate(second):
        if (answered := by_span.get(call.answered_by)) is not None:
            paired.setdefault(answered, number)
    waiting: dict[Hashable, list[int]] = defaultdict(list)
    for number, call in enumerate(first):
        if number not in paired:
            waiting[call.identity].append(number)
    taken = set(paired.values())
    for number, call in enumerate(second):
        if number not in taken and waiting[call.identity]:
            paired[waiting[call.identity].pop(0)] = number
    return paired


def _alike(
    first: Sequence[PairedCall], second: Sequence[PairedCall], paired: dict[int, int]
) -> Iterator[tuple[int, int, list[FieldDifference]]]:
    taken = set(paired.values())
    mine, theirs = defaultdict[tuple[str, ...], list[int]](list), defaultdict[tuple[str, ...], list[int]](list)
    for number, call in enumerate(first):
        if number not in paired:
            mine[call.key].append(number)
    for number, call in enumerate(second):
        if number not in taken:
            theirs[call.key].append(number)
    for key, numbers in mine.items():
        shown = [first[number].shown for number in numbers], [second[number].shown for number in theirs[key]]
        for one, other, fields in pairs_by_likeness(*shown):
            yield numbers[one], theirs[key][other], fields
