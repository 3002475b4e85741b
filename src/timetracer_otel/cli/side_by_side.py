"""The spans of two lanes side by side: which is which, what only one has, what took longer."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from rich.text import Text

from timetracer_otel.cassette.model import Lane, Span
from timetracer_otel.cli.choosing import duration_ms
from timetracer_otel.cli.output import one_line
from timetracer_otel.cli.style import milliseconds
from timetracer_otel.errors import ConfigError
from timetracer_otel.replay.comparing.differences import Difference

__all__ = ["IsSlower", "Row", "lines", "rows", "slower", "threshold"]

IsSlower: TypeAlias = Callable[[float, float], bool]
"""Whether the second of two durations in milliseconds is longer by too much."""
_STYLES: Final = {"same": "", "changed": "yellow", "slower": "yellow", "removed": "red", "added": "green"}
_MARKS: Final = {"same": " ", "changed": "~", "slower": ">", "removed": "-", "added": "+"}
_SHARE: Final = re.compile(r"\d{1,6}(\.\d+)?%")
_LEAST_MS: Final = 1.0
"""Milliseconds that a span takes more when it is slower by a share: below that, chance decides."""


@dataclass(frozen=True, slots=True)
class Row:
    """A span, as the one lane has it and as the other.

    Attributes:
        kind: what became of it.
        name: its name.
        depth: how many spans it is below.
        first: milliseconds that it took in the first; None when it is not there.
        second: likewise in the second.
        span: its id in the first, else in the second.
    """

    kind: Literal["same", "changed", "slower", "removed", "added"]
    name: str
    depth: int
    first: float | None
    second: float | None
    span: str

    def as_json(self) -> dict[str, Any]:
        """The row as data."""
        return {
            "kind": self.kind,
            "name": self.name,
            "depth": self.depth,
            "first_ms": self.first,
            "second_ms": self.second,
            "span": self.span,
        }


def threshold(text: str) -> IsSlower:
    """Read what ``--slower`` takes: ``50ms``, ``1s``, or a share of what it took, ``20%``.

    Args:
        text: of the option.

    Raises:
        ConfigError: it is neither.
    """
    if not text.endswith("%"):
        least = duration_ms("--slower", text)
        return lambda first, second: second - first >= max(least, 1e-6)
    if _SHARE.fullmatch(text) is None:
        raise ConfigError(f"--slower {text}: give a time such as 50ms, or a share such as 20%")
    share = float(text[:-1]) / 100
    return lambda first, second: second - first >= max(first * share, _LEAST_MS)


def rows(
    first: Lane, second: Lane, pairs: Mapping[str, str], changed: frozenset[str], is_slower: IsSlower | None
) -> list[Row]:
    """Put the spans of two lanes side by side, in order of start.

    Args:
        first: a lane or a session.
        second: another recording of it.
        pairs: which call of the first is which of the second, by their ids; other spans are paired by name, in turn.
        changed: ids of those in the first that ask something else in the second.
        is_slower: which durations are told; None for none.
    """
    theirs = {span.span_id: span for span in second.spans}
    paired = dict(pairs) | dict(_by_name(first.spans, second.spans, pairs))
    depths = {**_depths(second.spans), **_depths(first.spans)}
    found: list[Row] = []
    places: dict[str, int] = {}
    for span in first.spans:
        other = theirs.get(paired.get(span.span_id, ""))
        if other is not None:
            places[other.span_id] = len(found)
        found.append(_row(span, other, depths[span.span_id], changed, is_slower))
    added: dict[int, list[Row]] = defaultdict(list)
    at = 0
    for span in second.spans:
        if span.span_id in places:
            at = places[span.span_id] + 1
        else:
            row = Row("added", span.name, depths[span.span_id], None, _took(span), span.span_id)
            added[at].append(row)
    return [row for place in range(len(found) + 1) for row in (*added[place], *found[place : place + 1])]


def _row(span: Span, other: Span | None, depth: int, changed: frozenset[str], is_slower: IsSlower | None) -> Row:
    took = _took(span)
    if other is None:
        return Row("removed", span.name, depth, took, None, span.span_id)
    now = _took(other)
    kind: Literal["same", "changed", "slower"] = "changed" if span.span_id in changed else "same"
    if is_slower is not None and is_slower(took, now):
        kind = "slower"
    return Row(kind, span.name, depth, took, now, span.span_id)


def _by_name(first: Sequence[Span], second: Sequence[Span], pairs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pair what is no call that was compared."""
    taken = set(pairs.values())
    waiting: dict[tuple[str, int], deque[str]] = defaultdict(deque)
    for span in second:
        if span.span_id not in taken:
            waiting[span.name, span.kind].append(span.span_id)
    for span in first:
        if span.span_id not in pairs and not span.is_call and (same := waiting[span.name, span.kind]):
            yield span.span_id, same.popleft()


def _took(span: Span) -> float:
    return max(span.over - span.start, 0) / 1e6


def _depths(spans: Sequence[Span]) -> dict[str, int]:
    parents = {span.span_id: span.parent_id for span in spans}
    depths: dict[str, int] = {}
    for span in spans:
        above, seen = parents[span.span_id], {span.span_id}
        while above in parents and above not in seen:
            seen.add(above)
            above = parents[above]
        depths[span.span_id] = len(seen) - 1
    return depths


def slower(found: Sequence[Row]) -> Iterator[Difference]:
    """Give the spans that took longer as differences.

    Args:
        found: from :func:`rows`.
    """
    for row in found:
        if row.kind == "slower" and row.first is not None and row.second is not None:
            times = f"{milliseconds(row.first)} recorded, {milliseconds(row.second)} now"
            yield Difference("slower", f"{row.name}: {times}", span=row.span)


def lines(found: Sequence[Row]) -> Iterator[Text]:
    """Write rows for people.

    Args:
        found: from :func:`rows`.
    """
    for row in found:
        times = [milliseconds(took) if took is not None else "-" for took in (row.first, row.second)]
        name = "  " * row.depth + one_line(row.name)
        yield Text(f"  {_MARKS[row.kind]} {times[0]:>9}  {times[1]:>9}  {name}", _STYLES[row.kind])
