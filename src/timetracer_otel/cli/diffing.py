"""``timetracer diff``: two recordings side by side, such as a recording and the trace of its replay."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.text import Text

from timetracer_otel import spans
from timetracer_otel.cassette.model import Lane, Span
from timetracer_otel.cassette.shelf import Outline, Shelf
from timetracer_otel.cli import side_by_side
from timetracer_otel.cli.output import console, one_line
from timetracer_otel.cli.side_by_side import IsSlower, Row
from timetracer_otel.errors import CassetteError
from timetracer_otel.integrations import named
from timetracer_otel.replay.answering.journal_entries import without_volatile
from timetracer_otel.replay.answering.trace import REPLAY_ASKED, REPLAY_CALL, REPLAY_KEY, REPLAY_OF
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.entry_ends import compare_ends
from timetracer_otel.replay.comparing.pairing import PairedCall, compare_lists, pairs

__all__ = ["Diff", "compare", "print_diff"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two recordings of one request that differ.

    Attributes:
        name: of the request.
        first: the id of the one.
        second: the id of the other.
        differences: what differs.
        rows: their spans side by side.
    """

    name: str
    first: str
    second: str
    differences: list[Difference]
    rows: list[Row]


@dataclass
class Diff:
    """How two recordings compare.

    Attributes:
        pairs: how many requests both have.
        differing: those pairs that differ.
        only_first: requests that the second does not have.
        only_second: requests that the first does not have.
    """

    pairs: int = 0
    differing: list[Pair] = field(default_factory=list)
    only_first: list[str] = field(default_factory=list)
    only_second: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not (self.differing or self.only_first or self.only_second)

    def as_json(self) -> dict[str, Any]:
        """The comparison as data."""
        return {
            "equal": self.equal,
            "pairs": self.pairs,
            "differing": [
                {
                    "request": one.name,
                    "first": one.first,
                    "second": one.second,
                    "differences": [difference.as_json() for difference in one.differences],
                    "spans": [row.as_json() for row in one.rows],
                }
                for one in self.differing
            ],
            "only_first": self.only_first,
            "only_second": self.only_second,
        }


def compare(
    first: Iterable[Path],
    second: Iterable[Path],
    left_out: list[CassetteError] | None = None,
    is_slower: IsSlower | None = None,
) -> Diff:
    """Compare two recordings: a replay's lane with the one that it follows, others by their method and target in turn.

    Args:
        first: the files of one.
        second: the files of the other.
        left_out: gets the errors of files that cannot be read and are left out; None to stop at the first.
        is_slower: which durations differ by too much; None for none.

    Raises:
        CassetteError: a file cannot be read, with ``left_out`` none of a recording can.
    """
    mine, theirs = Shelf.of(first, left_out), Shelf.of(second, left_out)
    comparison = _Comparison(is_slower)
    diff = comparison.diff
    seen: set[str] = set()
    for one, other in _pairs(mine, theirs):
        if one is None:
            diff.only_second.append(other.name)
            continue
        seen.add(one.id)
        left, right = mine.lane(one.id), theirs.lane(other.id)
        assert left is not None and right is not None  # noqa: S101, PT018 - both shelves have just named them
        comparison.take(one.name, left, right)
    diff.only_first += [one.name for one in mine.catalog.lanes if one.id not in seen]
    if not (mine.catalog.lanes or theirs.catalog.lanes):  # of servers they depend on how long these ran
        for left, right in zip(mine.sessions.values(), theirs.sessions.values(), strict=False):
            comparison.take("session", left, right)
    return diff


def _pairs(first: Shelf, second: Shelf) -> Iterator[tuple[Outline | None, Outline]]:
    waiting: dict[str, deque[Outline]] = defaultdict(deque)
    for outline in first.catalog.lanes:
        waiting[outline.name].append(outline)
    for lane in second.lanes:
        other = second.outline(lane.id)
        assert other is not None  # noqa: S101 - the shelf has just given it
        followed = lane.entry.text(REPLAY_OF) if lane.entry is not None else None
        known = first.outline(followed or lane.id)
        if known is not None and known in waiting[known.name]:
            waiting[known.name].remove(known)
            yield known, other
        else:
            yield (waiting[other.name].popleft() if waiting[other.name] else None), other


class _Comparison:
    """What was compared so far."""

    def __init__(self, is_slower: IsSlower | None) -> None:
        self.diff = Diff()
        self._is_slower = is_slower

    def take(self, name: str, first: Lane, second: Lane) -> None:
        calls, others = self._calls(first), self._calls(second)
        differences = list(compare_lists(calls, others))
        if first.entry is not None and second.entry is not None:
            differences += compare_ends(first.entry, second.entry)
        paired = list(pairs(calls, others))
        ids = {calls[mine].span: others[theirs].span for mine, theirs, _ in paired}
        changed = frozenset(calls[mine].span for mine, _, fields in paired if fields)
        rows = side_by_side.rows(first, second, ids, changed, self._is_slower)
        differences += side_by_side.slower(rows)
        self.diff.pairs += 1
        if differences:
            self.diff.differing.append(Pair(name, first.id, second.id, differences, rows))

    def _calls(self, lane: Lane) -> list[PairedCall]:
        asked = (_asked(span) for span in lane.calls)
        return [call for call in asked if call is not None]


def _asked(span: Span) -> PairedCall | None:
    """A call as it is compared; None for what is none, such as a driver's own."""
    answered_by = span.text(REPLAY_CALL) or ""
    if (key := span.text(REPLAY_KEY)) is not None:
        told = spans.json_or_text(key)
        missed = tuple(map(str, told)) if isinstance(told, list) else (key,)
        return PairedCall(span.span_id, missed, span.span_id, _asked_json(span), False, span.start, span.end)  # noqa: FBT003 - a field
    integration = named(span.text(spans.PLUGIN))
    if integration is None or integration.describe is None or integration.render is None:
        return None
    if REPLAY_ASKED in span.attributes:  # a changed value, so not the recorded bytes
        return PairedCall(span.span_id, (), span.span_id, _asked_json(span), True, span.start, span.end, answered_by)  # noqa: FBT003 - a field
    description = integration.describe(span)
    if description is None:
        return None
    shown = without_volatile(integration.render(span).get("request"), integration.volatile)
    identity = (description.key, description.shape, description.values)
    trail = span.text(spans.BRANCH) or ""
    return PairedCall(
        span.span_id, description.key, identity, shown, description.read, span.start, span.end, answered_by, trail
    )


def _asked_json(span: Span) -> Any:
    return spans.json_or_text(span.text(REPLAY_ASKED) or "null")


def print_diff(diff: Diff) -> None:
    """Print a comparison for people.

    Args:
        diff: the comparison.
    """
    out = console()
    for pair in diff.differing:
        out.print(Text.assemble((one_line(pair.name), "bold"), f"  {pair.first} / {pair.second}"), soft_wrap=True)
        for row in side_by_side.lines(pair.rows):
            out.print(row, soft_wrap=True)
        for difference in pair.differences:
            line = f"{difference.kind}{' ' + difference.what if difference.what else ''}"
            out.print(Text("  " + one_line(line), "red"))
            for place in difference.fields:
                out.print(Text("    " + one_line(str(place))))
    for side, names in (("first", diff.only_first), ("second", diff.only_second)):
        for name in names:
            out.print(Text(f"only in the {side}: {one_line(name)}", "red"))
    differ = len(diff.differing)
    out.print(
        f"{diff.pairs} compared, {differ} differ, {len(diff.only_first) + len(diff.only_second)} without a counterpart"
    )
