"""A cassette directory stays below a size and an age, and nothing that is in use goes."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from timetracer_otel import config
from timetracer_otel.cassette import storage
from timetracer_otel.exporters.writing import retention
from timetracer_otel.exporters.writing.retention import Retention, hold

NOW = datetime.now(UTC)


def settings(directory: Path, **given: str) -> config.Settings:
    """Settings of a directory."""
    variables = {f"TIMETRACER_{name.upper()}": text for name, text in given.items()}
    return config.load({"TIMETRACER_DIR": str(directory), **variables}, Path("/"))


def lane(directory: Path, name: str, age: timedelta, size: int = 1000) -> Path:
    """A file as it would have been written so long ago."""
    at = NOW - age
    path = directory / at.strftime("%Y-%m-%d/%H") / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def names(directory: Path) -> list[str]:
    """The names that are left, without ending."""
    return sorted(path.name.partition(".")[0] for path in directory.rglob("*.jsonl"))


def make_pass(limited: config.Settings) -> None:
    """Make a pass as if the last one were long ago."""
    (limited.dir / ".retention").unlink(missing_ok=True)
    Retention(limited).run()


def test_the_oldest_go_when_the_directory_is_too_large(tmp_path: Path) -> None:
    """Until a tenth below the limit; folders that are empty go too."""
    for hours in range(10):
        lane(tmp_path, f"GET__{hours}", timedelta(hours=hours))
    make_pass(settings(tmp_path, max_disk="8000"))
    assert names(tmp_path) == [f"GET__{hours}" for hours in range(7)]
    assert len([path for path in tmp_path.glob("*/*") if path.is_dir()]) == 7


def test_within_an_hour_the_oldest_go_too(tmp_path: Path) -> None:
    """By the time of each file."""
    for seconds in range(5):
        lane(tmp_path, f"GET__{seconds}", timedelta(days=1, seconds=-seconds / 100))
    make_pass(settings(tmp_path, max_disk="4000"))
    assert names(tmp_path) == ["GET__2", "GET__3", "GET__4"]


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    """Whatever the size; a limit of 0 is none."""
    for days in range(5):
        lane(tmp_path, f"GET__{days}", timedelta(days=days))
    make_pass(settings(tmp_path))
    assert len(names(tmp_path)) == 5
    make_pass(settings(tmp_path, max_age="60h"))
    assert names(tmp_path) == ["GET__0", "GET__1", "GET__2"]


def test_a_session_is_as_old_as_what_it_was_used_for_last(tmp_path: Path) -> None:
    """Its file stands in the hour in which its process began; lanes written later need it."""
    session = lane(tmp_path, "SESSION__app__1", timedelta(hours=9))
    used = (NOW - timedelta(hours=2)).timestamp()
    os.utime(session, (used, used))
    for hours in range(9):
        lane(tmp_path, f"GET__{hours}", timedelta(hours=hours))
    make_pass(settings(tmp_path, max_disk="6000"))
    assert names(tmp_path) == ["GET__0", "GET__1", "GET__2", "GET__3", "SESSION__app__1"]
    make_pass(settings(tmp_path, max_disk="2000"))
    assert names(tmp_path) == ["GET__0"]


def test_a_session_in_use_stays(tmp_path: Path) -> None:
    """For as long as the process lives that holds it, in whatever way it ends."""
    session = lane(tmp_path, "SESSION__app__1", timedelta(days=9))
    limited = settings(tmp_path, max_age="1d")
    ready = multiprocessing.get_context("spawn").Event()
    process = multiprocessing.get_context("spawn").Process(target=_hold, args=(session, ready))
    process.start()
    ready.wait()
    make_pass(limited)
    assert session.exists()
    process.kill()
    process.join()
    make_pass(limited)
    assert not session.exists()


def _hold(path: Path, ready: object) -> None:
    assert hold(path) is not None
    ready.set()  # type: ignore[attr-defined] # an Event, whose class multiprocessing does not name
    time.sleep(60)


def test_the_latest_stays(tmp_path: Path) -> None:
    """However small the limit: `latest` leads somewhere."""
    path = lane(tmp_path, "GET__1", timedelta(days=2), size=9000)
    storage.point_latest(tmp_path, path)
    lane(tmp_path, "GET__2", timedelta(days=1))
    make_pass(settings(tmp_path, max_disk="10", max_age="1h"))
    assert names(tmp_path) == ["GET__1", "latest"]


def test_only_cassettes_go(tmp_path: Path) -> None:
    """Files of others stay where they are, also in our folders, and so do links that lead elsewhere."""
    kept = lane(tmp_path / "elsewhere", "GET__0", timedelta(days=9))
    old = lane(tmp_path / "cassettes", "GET__1", timedelta(days=9))
    (old.parent / "notes.txt").write_text("mine")
    (old.parent / "GET__2.jsonl").symlink_to(kept)
    (tmp_path / "cassettes" / "2001-01-01").symlink_to(kept.parent.parent)
    (tmp_path / "cassettes" / "bundle.jsonl").write_bytes(b"x" * 5000)
    make_pass(settings(tmp_path / "cassettes", max_disk="1", max_age="1d"))
    assert (old.parent / "notes.txt").exists()
    assert kept.exists()
    assert (tmp_path / "cassettes" / "bundle.jsonl").exists()
    assert not old.exists()


def test_parts_of_killed_processes_go_when_they_are_old(tmp_path: Path) -> None:
    """Those beside the days without any limit set, those within with one; a young one may be in use."""
    old, young = tmp_path / ".a.part", tmp_path / ".b.part"
    within = lane(tmp_path, "GET__1", timedelta(days=2)).with_suffix(".jsonl.part")
    for path, days in ((old, 2), (young, 0), (within, 2)):
        path.write_bytes(b"x")
        at = (NOW - timedelta(days=days)).timestamp()
        os.utime(path, (at, at))
    make_pass(settings(tmp_path))
    assert [path.exists() for path in (old, young, within)] == [False, True, True]
    make_pass(settings(tmp_path, max_age="1d"))
    assert [path.exists() for path in (young, within)] == [True, False]


def test_of_several_processes_one_makes_a_pass(tmp_path: Path) -> None:
    """The other one measures, so that it knows of the limit."""
    for number in range(10):
        lane(tmp_path, f"GET__{number}", timedelta(minutes=number))
    limited = settings(tmp_path, max_disk="8000")
    with retention._alone(tmp_path / ".retention") as first:
        assert first
        other = Retention(limited)
        other.run()
    assert len(names(tmp_path)) == 10
    assert other.pressure == 1.0


@pytest.mark.parametrize(("written", "pressure"), [(0, 0.0), (5000, 0.0), (6000, 0.5), (7000, 1.0), (99_000, 1.0)])
def test_pressure_grows_above_the_limit(tmp_path: Path, written: int, pressure: float) -> None:
    """From the limit to a fifth above it, between two passes too."""
    limited = Retention(settings(tmp_path, max_disk="10000"))
    limited.wrote(5000)
    limited.wrote(written)
    assert limited.pressure == pytest.approx(pressure)


def test_a_pass_that_no_thread_can_make_is_made_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is ending starts no thread any more."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    old = lane(tmp_path, "GET__old", timedelta(days=2))
    limited = Retention(settings(tmp_path, max_age="1d"))
    with monkeypatch.context() as ending:
        ending.setattr(threading.Thread, "start", refuse)
        limited.start()
    assert old.exists()
    limited.start()
    while old.exists():
        time.sleep(0.01)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """There is nothing to do, and nothing is made."""
    make_pass(settings(tmp_path / "none", max_disk="1"))
    assert not (tmp_path / "none").exists()
