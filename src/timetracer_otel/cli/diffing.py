"""``timetracer diff``: two recordings side by side, such as a recording and the trace of its replay."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.text import Text

from timetracer_otel import spans
from timetracer_otel.cassette.model import Lane, Span
from timetracer_otel.cassette.shelf import Outline, Shelf
from timetracer_otel.cli.output import console, one_line
from timetracer_otel.errors import CassetteError
from timetracer_otel.integrations import discover
from timetracer_otel.replay.answering.journal_entries import without_volatile
from timetracer_otel.replay.answering.trace import REPLAY_ASKED, REPLAY_CALL, REPLAY_KEY, REPLAY_OF
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.entry_ends import compare_ends
from timetracer_otel.replay.comparing.pairing import PairedCall, compare_lists
from timetracer_otel.seams import Integration

__all__ = ["Diff", "compare", "print_diff"]


@dataclass
class Diff:
    """How two recordings compare.

    Attributes:
        pairs: how many requests both have.
        differing: name, id in the first, id in the second and differences, of those pairs that differ.
        only_first: requests that the second does not have.
        only_second: requests that the first does not have.
    """

    pairs: int = 0
    differing: list[tuple[str, str, str, list[Difference]]] = field(default_factory=list)
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
                {"request": name, "first": first, "second": second, "differences": [one.as_json() for one in found]}
                for name, first, second, found in self.differing
            ],
            "only_first": self.only_first,
            "only_second": self.only_second,
        }


def compare(first: Iterable[Path], second: Iterable[Path], left_out: list[CassetteError] | None = None) -> Diff:
    """Compare two recordings: a replay's lane with the one that it follows, others by their method and target in turn.

    Args:
        first: the files of one.
        second: the files of the other.
        left_out: gets the errors of files that cannot be read and are left out; None to stop at the first.

    Raises:
        CassetteError: a file cannot be read, with ``left_out`` none of a recording can.
    """
    mine, theirs, integrations = Shelf.of(first, left_out), Shelf.of(second, left_out), discover()
    diff = Diff()
    seen: set[str] = set()
    for one, other in _pairs(mine, theirs):
        if one is None:
            diff.only_second.append(other.name)
            continue
        seen.add(one.id)
        diff.pairs += 1
        left, right = mine.lane(one.id), theirs.lane(other.id)
        assert left is not None and right is not None  # noqa: S101, PT018 - both shelves have just named them
        if found := list(_lanes(left, right, integrations)):
            diff.differing.append((one.name, one.id, other.id, found))
    diff.only_first += [one.name for one in mine.catalog.lanes if one.id not in seen]
    _sessions(mine, theirs, integrations, diff)
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


def _sessions(first: Shelf, second: Shelf, integrations: Mapping[str, Integration], diff: Diff) -> None:
    """Compare the calls of scripts; the sessions of servers depend on how long they ran."""
    if first.catalog.lanes or second.catalog.lanes:
        return
    for one, other in zip(first.sessions.values(), second.sessions.values(), strict=False):
        diff.pairs += 1
        if found := list(_calls(one, other, integrations)):
            diff.differing.append(("session", one.id, other.id, found))


def _lanes(first: Lane, second: Lane, integrations: Mapping[str, Integration]) -> Iterator[Difference]:
    yield from _calls(first, second, integrations)
    if first.entry is not None and second.entry is not None:
        yield from compare_ends(first.entry, second.entry)


def _calls(first: Lane, second: Lane, integrations: Mapping[str, Integration]) -> Iterator[Difference]:
    sides = [
        [asked for span in lane.calls if (asked := _asked(span, integrations)) is not None] for lane in (first, second)
    ]
    yield from compare_lists(*sides)


def _asked(span: Span, integrations: Mapping[str, Integration]) -> PairedCall | None:
    """A call as it is compared; None for what is none, such as a driver's own."""
    answered_by = span.text(REPLAY_CALL) or ""
    if (key := span.text(REPLAY_KEY)) is not None:
        told = spans.json_or_text(key)
        missed = tuple(map(str, told)) if isinstance(told, list) else (key,)
        return PairedCall(span.span_id, missed, span.span_id, _asked_json(span), False, span.start, span.end)  # noqa: FBT003 - a field
    integration = integrations.get(span.text(spans.PLUGIN) or "")
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
    for name, first, second, found in diff.differing:
        out.print(Text.assemble((one_line(name), "bold"), f"  {first} / {second}"))
        for difference in found:
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
