"""The figures of a fleet in docs/operations.md are those that the simulation gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scripts.simulate_fleet import Assumptions, day, report

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def test_the_page_has_the_figures() -> None:
    """With the script's own assumptions and seed; the same each time."""
    found, page = day(Assumptions()), PAGE.read_text(encoding="utf-8")
    figures = [
        f"{found.mean_rate:,.0f} in the mean, {found.peak_rate:,.0f} in the busiest second",
        f"{found.ingress / 1e9:.1f} Gbit/s; {found.collectors} collectors",
        f"{found.stored_bytes / 1e12:.2f} TB a day, of {found.raw_bytes / 1e12:.1f} TB",
        f"{found.objects_hour:,.0f} in the mean, {found.objects_busiest:,} in the busiest",
        f"{found.objects_unrouted:,} when services are not routed",
        f"{found.list_hour:.1f} s for the busiest hour",
        f"{found.replay_hour / 60:.0f} minutes with",
        f"{found.replay_day / 3600:.1f} hours with",
    ]
    assert [figure for figure in figures if figure not in page] == []
    assert report(Assumptions()) == report(Assumptions())


def test_it_follows_what_is_assumed() -> None:
    """Ten times the requests are ten times the bytes and the rate; another seed is another day."""
    small, large = day(Assumptions(lanes=1e8)), day(Assumptions(lanes=1e9))
    assert round(large.raw_bytes / small.raw_bytes, 6) == 10.0
    assert round(large.peak_rate / small.peak_rate, 6) == 10.0
    assert large.collectors > small.collectors
    assert day(Assumptions(), seed=2).peak_rate != large.peak_rate
    assert day(replace(Assumptions(), shards=512)).replay_day == large.replay_day / 2
