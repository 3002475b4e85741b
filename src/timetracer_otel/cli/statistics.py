"""``timetracer stats``: how often each route was asked, how long it took, what it called; calls that look repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from timetracer_otel.cassette.model import Lane
from timetracer_otel.cli.output import console, one_line
from timetracer_otel.cli.style import milliseconds
from timetracer_otel.cli.summary import summarize

__all__ = ["Route", "print_table", "routes"]

_WHOLE: Final = 1_000_000
"""Columns in which any table has room, to learn how wide it is."""
_REPEATED: Final = 5
"""Alike calls of one lane from which on they are told: one for each row of another answer, perhaps (N+1)."""


@dataclass(slots=True)
class Route:
    """What was recorded of a route.

    Attributes:
        name: method and route; the path where no route is known.
        durations: of its lanes, in milliseconds.
        errors: how many of them failed.
        calls: how many calls they made, by name.
        repeated: the most alike calls that one lane made, by name, where they are many.
    """

    name: str
    durations: list[float] = field(default_factory=list)
    errors: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    repeated: dict[str, int] = field(default_factory=dict)

    def percentile(self, share: float) -> float:
        """The duration that a share of the lanes does not exceed, by the nearest rank.

        Args:
            share: 0 to 1.
        """
        ordered = sorted(self.durations)
        return ordered[max(-int(-share * len(ordered) // 1) - 1, 0)]

    def as_json(self) -> dict[str, Any]:
        """The figures as data."""
        count = len(self.durations)
        return {
            "route": self.name,
            "lanes": count,
            "errors": self.errors,
            "p50_ms": self.percentile(0.5),
            "p95_ms": self.percentile(0.95),
            "max_ms": max(self.durations),
            "calls_per_lane": sum(self.calls.values()) / count,
            "calls": dict(self.calls.most_common()),
            "repeated": self.repeated,
        }


def routes(lanes: Iterable[Lane]) -> list[Route]:
    """Sum up lanes by their route, the one that took longest in all first.

    Args:
        lanes: taken one at a time; sessions are left out.
    """
    found: dict[str, Route] = {}
    for lane in lanes:
        if lane.is_session or lane.entry is None:
            continue
        summary = summarize(lane)
        route = lane.entry.text("http.route") or summary.target.partition("?")[0]
        one = found.setdefault(name := f"{summary.method or lane.entry.name} {route}", Route(name))
        one.durations.append(summary.duration_ms)
        one.errors += summary.has_failed
        _count_calls(one, lane)
    return sorted(found.values(), key=lambda one: (-sum(one.durations), one.name))


def _count_calls(route: Route, lane: Lane) -> None:
    alike = Counter(call.name for call in lane.calls)
    route.calls.update(alike)
    for name, count in alike.items():
        if count >= _REPEATED:
            route.repeated[name] = max(route.repeated.get(name, 0), count)


def print_table(found: Sequence[Route]) -> None:
    """Print a table for people, and below it the calls that a lane repeated.

    Args:
        found: from :func:`routes`.
    """
    out = console()
    table = Table(box=None, header_style="bold")
    for number, name in enumerate(("ROUTE", "LANES", "ERRORS", "P50", "P95", "MAX", "CALLS/LANE")):
        table.add_column(name, justify="right" if number else "left", overflow="fold" if number == 0 else "ellipsis")
    for route in found:
        told = route.as_json()
        times = (milliseconds(told[name]) for name in ("p50_ms", "p95_ms", "max_ms"))
        cells = (str(told["lanes"]), str(told["errors"]), *times, f"{told['calls_per_lane']:.1f}")
        table.add_row(one_line(route.name), *cells)
    if out.measure(table, options=out.options.update_width(_WHOLE)).maximum <= out.width:
        out.print(table)
    else:
        _print_apart(out, found)
    for route in found:
        for call, count in route.repeated.items():
            made = f"{one_line(route.name)} made {count} calls {one_line(call)} in one lane"
            out.print(f"{made}: one for each row of another?")


def _print_apart(out: Console, found: Sequence[Route]) -> None:
    """What the table says, for a terminal that is too narrow for it: a few short lines for each route."""
    for route in found:
        told = route.as_json()
        times = [f"{name[:3]} {milliseconds(told[name])}" for name in ("p50_ms", "p95_ms", "max_ms")]
        out.print(one_line(route.name), style="bold", soft_wrap=True)
        out.print(f"  lanes {told['lanes']}, errors {told['errors']}, calls a lane {told['calls_per_lane']:.1f}")
        out.print(f"  {', '.join(times)}")
