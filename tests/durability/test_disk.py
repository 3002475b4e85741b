"""Disks full, slow or gone, no file descriptors: the app answers, the loss is counted, recording resumes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.durability.harness import SERVERS, Served, counts, files, recorded

GAVE_UP = "timetracer gave up"
RESUMED = "timetracer records again"

servers = pytest.mark.parametrize("command", SERVERS.values(), ids=SERVERS)


def items(numbers: range) -> list[str]:
    """The paths of items."""
    return [f"/items/{number}" for number in numbers]


def ask(served: Served, numbers: range) -> None:
    """Ask for items; every answer must be the right one."""
    for number in numbers:
        assert served.get(f"/items/{number}") == str(number)
    served.get("/do/nothing")  # the lane before it is written by now; this one may fall on either side of what follows


@servers
def test_what_cannot_be_written_is_dropped_whole(tmp_path: Path, command: list[str]) -> None:
    """Every answer is right, what can be written is there, the rest is counted, and said once."""
    with Served(tmp_path, command) as served:
        ask(served, range(5))
        served.get("/do/full")
        ask(served, range(10, 20))
        assert served.get("/large/1").startswith("1x")
        served.get("/do/mend")
        ask(served, range(20, 25))
        served.get("/do/descriptors")
        ask(served, range(30, 40))
        served.get("/do/mend")
        ask(served, range(40, 45))
        served.stop()
    there = recorded(served.cassettes)
    kept = [number for start in (0, 20, 40) for number in range(start, start + 5)]
    assert [path for path in there if path.startswith("/items")] == [f"/items/{number}" for number in kept]
    assert not list(served.cassettes.rglob("*.part"))
    assert (served.log().count(GAVE_UP), served.log().count(RESUMED)) == (1, 1)
    said = counts(served.cassettes)
    asked = 35 + 5 + 4 + 1
    assert said["timetracer.dropped.lanes"] == asked - len(there)
    assert said["timetracer.dropped.reason"] == [f"disk={asked - len(there)}"]


@servers
def test_a_directory_may_vanish(tmp_path: Path, command: list[str]) -> None:
    """It is made again; with a file in its place nothing can be written until that is gone."""
    with Served(tmp_path, command) as served:
        ask(served, range(5))
        served.cassettes.rename(tmp_path / "moved")
        ask(served, range(10, 15))
        served.cassettes.rename(tmp_path / "moved as well")
        served.cassettes.write_text("in the way")
        ask(served, range(20, 25))
        served.cassettes.unlink()
        ask(served, range(30, 35))
        served.stop()
    for name, numbers in (("moved", range(5)), ("moved as well", range(10, 15)), ("cassettes", range(30, 35))):
        assert [path for path in recorded(tmp_path / name) if path.startswith("/items")] == items(numbers)
    assert (served.log().count(GAVE_UP), served.log().count(RESUMED)) == (1, 1)
    assert counts(served.cassettes)["timetracer.dropped.reason"] in (["disk=5"], ["disk=6"], ["disk=7"])


@pytest.mark.system
@servers
def test_a_slow_disk_is_left_behind(tmp_path: Path, command: list[str]) -> None:
    """The app does not wait for the disk, nothing is lost when it ends, and the delay is counted and said."""
    with Served(tmp_path, command) as served:
        served.get("/do/slow")
        ask(served, range(20))
        behind = len(files(served.cassettes))
        served.stop()
    assert behind < 20
    assert set(items(range(20))) < set(recorded(served.cassettes))
    assert served.log().count("the disk is slow") == 1
    said = counts(served.cassettes)
    assert int(str(said["timetracer.late.lanes"])) > 0
    assert int(str(said["timetracer.late.max_ms"])) > 100
    assert "timetracer.dropped.lanes" not in said
