"""What a process leaves of an open lane, for the one that ends it."""

from __future__ import annotations

from pathlib import Path

from timetracer_otel.config import Settings
from timetracer_otel.exporters.lanes.remains import Left, Remains

LANE = "ab" * 16
IDS = "1" * 32, "2" * 16


def both(folder: Path) -> tuple[Remains, Remains]:
    """The lane in the process that is killed, and in the other one."""
    return Remains(Settings(dir=folder), LANE), Remains(Settings(dir=folder), LANE)


def test_the_calls_of_a_killed_process(tmp_path: Path) -> None:
    """Whole lines, and the ids under which they are; one that was being written is left out."""
    killed, heir = both(tmp_path)
    killed.add(b'{"one":1}\n', IDS)
    killed.add(b'{"two":2}\n', IDS)
    with (tmp_path / f".{LANE}.left.part").open("ab") as file:
        file.write(b'{"thr')
    assert heir.take() == Left(b'{"one":1}\n{"two":2}\n', IDS)
    heir.discard()
    assert not list(tmp_path.iterdir())


def test_a_lane_that_was_written(tmp_path: Path) -> None:
    """More goes into its file; into a new one, where it did not come to that."""
    ended, heir = both(tmp_path)
    path = tmp_path / "lane.jsonl"
    ended.add(b'{"one":1}\n', IDS)
    ended.lead_to(path)
    assert heir.take() == Left(b'{"one":1}\n', IDS)
    path.touch()
    assert heir.take() == Left(b'{"one":1}\n', IDS, path)


def test_a_process_that_had_done_nothing(tmp_path: Path) -> None:
    """There is nothing to take, and nothing to remove."""
    _, heir = both(tmp_path)
    assert heir.take() == Left()
    heir.discard()
