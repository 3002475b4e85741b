"""Tasks of Huey in one process: what is recorded of them, and what a replay makes of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from huey import MemoryHuey, SqliteHuey, chord
from huey.consumer import Worker
from huey.exceptions import CancelExecution

from tests.support.workers import executions, outcome, published
from timetracer_otel import testing
from timetracer_otel.families.kinds import task as tasks


class Shop:
    """An app with tasks, made anew as a process makes it."""

    def __init__(self, huey: Any) -> None:
        self.huey = huey

        @huey.task()
        def doubled(number: int) -> int:
            with huey.lock_task(f"lock {os.environ.get('LOCK', '1')}"):
                return 2 * number

        @huey.task()
        def passed_on(number: int) -> str:
            return str(doubled(number).id)

        @huey.task(retries=1)
        def failing() -> None:
            raise KeyError("A-1")

        @huey.task()
        def total(numbers: list[int]) -> int:
            return sum(numbers)

        self.doubled, self.passed_on, self.failing, self.total = doubled, passed_on, failing, total

    def work(self) -> None:
        """Execute what waits, as a worker does."""
        worker: Any = Worker.__new__(Worker)
        worker.huey, worker.max_tasks, worker.task_count, worker.default_delay = self.huey, None, 0, 0.0
        worker.sleep = lambda: None
        before = None
        while before != (before := worker.task_count) or before == 0:
            worker.loop()


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Where a storage is while it is recorded."""
    return str(tmp_path / "shop.db")


def recorded(file: str, folder: Path, *names: str) -> None:
    """Record that a worker executes some tasks."""
    with testing.record(folder):
        shop = Shop(SqliteHuey("shop", filename=file))
        for name in names:
            getattr(shop, name)(*(() if name == "failing" else (4,)))
        shop.work()


def replayed(folder: Path) -> testing.Replay:
    """Let a worker execute the recorded tasks; there is no storage."""
    with testing.replay(folder) as replay:
        Shop(SqliteHuey("shop", filename="/nonexistent/shop.db")).work()
    return replay


def test_a_task_is_a_lane_with_its_calls_alone(file: str, tmp_path: Path) -> None:
    """Nothing that Huey writes for itself is recorded; a replay answers all, and opens no file."""
    recorded(file, tmp_path, "doubled", "passed_on")
    first, second, _third = executions(tmp_path)
    assert [call.name for call in first.calls] == ["huey put_if_empty", "huey delete_data"]
    assert published(second) == [f"{__name__}.doubled"]
    assert first.entry is not None
    assert first.entry.text(tasks.ARGUMENTS) == '{"number": 4}'
    seen = replayed(tmp_path).outcome()
    assert (seen.misses, seen.unused, seen.refused) == ([], [], [])
    assert seen.followed == 3


def test_retries_and_failures(file: str, tmp_path: Path) -> None:
    """A task that fails and is tried again has a publish of itself; then its error."""
    recorded(file, tmp_path, "failing")
    retried, failed = executions(tmp_path)
    assert [outcome(lane)["state"] for lane in (retried, failed)] == ["RETRY", "FAILURE"]
    assert (published(retried), published(failed)) == ([f"{__name__}.failing"], [])
    assert replayed(tmp_path).outcome().misses == []


def test_a_chord_is_told_by_what_its_members_count(file: str, tmp_path: Path) -> None:
    """The last of its members asks for the callback, in a replay too."""
    with testing.record(tmp_path):
        shop = Shop(SqliteHuey("shop", filename=file))
        shop.huey.enqueue(chord([shop.doubled.s(1), shop.doubled.s(2)], shop.total.s()))
        shop.work()
    *_, last, called = executions(tmp_path)
    assert published(last) == [f"{__name__}.total"]
    assert outcome(called)["value"] == 6
    seen = replayed(tmp_path).outcome()
    assert (seen.misses, seen.unused, seen.followed) == ([], [], 3)


def test_a_task_that_a_hook_calls_off(file: str, tmp_path: Path) -> None:
    """It is a lane of that state, and its function is not run."""
    with testing.record(tmp_path):
        shop = Shop(SqliteHuey("shop", filename=file))

        @shop.huey.pre_execute()
        def call_off(_task: Any) -> None:
            raise CancelExecution

        shop.doubled(4)
        shop.work()
    [lane] = executions(tmp_path)
    assert (outcome(lane)["state"], lane.calls) == ("CANCELED", [])


def test_immediate_mode_and_memory_are_left_alone(tmp_path: Path) -> None:
    """A task that runs here and now is an entry outside of any; its storage is the program's own memory."""
    with testing.record(tmp_path):
        shop = Shop(MemoryHuey("shop", immediate=True))
        assert shop.doubled(4).get() == 8
    [lane] = executions(tmp_path)
    assert (outcome(lane)["value"], lane.calls) == (8, [])


def test_a_miss_that_huey_takes_for_a_failure_is_remembered(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker goes on, and the replay knows."""
    recorded(file, tmp_path, "doubled")
    monkeypatch.setenv("LOCK", "2")
    assert len(replayed(tmp_path).outcome().misses) == 1


def test_recording_changes_nothing(file: str, tmp_path: Path) -> None:
    """Results are those of a run without us; afterwards Huey is as it was."""
    seam = SqliteHuey._execute
    plain = Shop(SqliteHuey("shop", filename=f"{file}-plain"))
    result = plain.doubled(4)
    plain.work()
    with testing.record(tmp_path / "cassettes"):
        shop = Shop(SqliteHuey("shop", filename=file))
        under_way = shop.doubled(4)
        shop.work()
        assert under_way.get() == result.get() == 8
    assert SqliteHuey._execute is seam
