"""Jobs of RQ in one process, over a Redis that forgets: what is recorded of them, and what a replay makes of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Retry, SimpleWorker, get_current_job
from rq.job import Job

from tests.support.workers import executions, forgetting, outcome, published
from timetracer_otel import spans, testing
from timetracer_otel.seams import brokering

queue: Queue


def doubled(number: int) -> int:
    """Give a number, by way of Redis."""
    queue.connection.set("last", number * int(os.environ.get("FACTOR", "1")))
    return 2 * number


def passed_on(number: int) -> str:
    """Ask for another job, and say which."""
    return str(queue.enqueue(doubled, number).id)


def noted() -> Any:
    """Keep a step by RQ's means."""
    job = get_current_job()
    assert job is not None
    job.meta["step"] = 1
    job.save_meta()  # type: ignore[no-untyped-call] # RQ's
    return job.meta


def failing() -> None:
    """Fail."""
    raise KeyError("A-1")


@pytest.fixture
def server() -> Iterator[int]:
    """The port of a Redis that forgets."""
    with forgetting() as port:
        yield port


def connected(port: int) -> SimpleWorker:
    """A worker with a queue there."""
    global queue  # noqa: PLW0603 - the app's own, as apps have it
    queue = Queue("orders", connection=Redis(port=port, protocol=2))
    return SimpleWorker([queue], connection=queue.connection, prepare_for_work=False)


def recorded(port: int, folder: Path, *jobs: Callable[[], Job]) -> None:
    """Record that a worker runs some jobs."""
    with testing.record(folder):
        worker = connected(port)
        for job in jobs:
            worker.execute_job(job(), queue)


def replayed(folder: Path) -> testing.Replay:
    """Let a worker run the recorded jobs, with nothing there."""
    with testing.replay(folder) as replay:
        worker = connected(1)
        while (found := Queue.dequeue_any([queue], None, connection=queue.connection)) is not None:
            worker.execute_job(*found)
    return replay


def test_a_job_is_a_lane_with_its_calls_alone(server: int, tmp_path: Path) -> None:
    """Nothing that RQ writes for itself is recorded; a replay answers all, and runs each job once."""
    jobs = [lambda: queue.enqueue(doubled, 4), lambda: queue.enqueue(passed_on, 5), lambda: queue.enqueue(noted)]
    recorded(server, tmp_path, *jobs)
    first, second, third = executions(tmp_path)
    assert [call.name for call in first.calls] == ["SET"]
    assert published(second) == [f"{__name__}.doubled"]
    assert [call.name for call in third.calls] == ["HSET"]
    assert [outcome(lane)["state"] for lane in (first, second, third)] == ["SUCCESS"] * 3
    seen = replayed(tmp_path).outcome()
    assert (seen.misses, seen.unused) == ([], [])


def test_retries_and_failures(server: int, tmp_path: Path) -> None:
    """A job that fails and is tried again has a publish of itself; one that is not has its error."""
    again = [lambda: queue.enqueue(failing, retry=Retry(max=1)), lambda: queue.enqueue(failing)]
    recorded(server, tmp_path, *again)
    retried, failed = executions(tmp_path)
    assert [outcome(lane)["state"] for lane in (retried, failed)] == ["RETRY", "FAILURE"]
    assert (published(retried), published(failed)) == ([f"{__name__}.failing"], [])
    assert failed.entry is not None
    assert "A-1" in (failed.entry.text(spans.ERROR) or "")
    assert replayed(tmp_path).outcome().misses == []


def test_a_miss_that_rq_takes_for_a_failure_is_remembered(
    server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker goes on, and the replay knows."""
    recorded(server, tmp_path, lambda: queue.enqueue(doubled, 4))
    monkeypatch.setenv("FACTOR", "3")
    assert len(replayed(tmp_path).outcome().misses) == 1


def test_recording_changes_nothing(server: int, tmp_path: Path) -> None:
    """Results and states are those of a run without us; afterwards RQ is as it was."""
    seam = SimpleWorker.perform_job
    worker = connected(server)
    plain = queue.enqueue(doubled, 4)
    worker.execute_job(plain, queue)
    with testing.record(tmp_path):
        assert not brokering.is_brokering()
        worker = connected(server)
        job = queue.enqueue(doubled, 4)
        worker.execute_job(job, queue)
    assert (job._result, job._status) == (plain._result, plain._status)
    assert SimpleWorker.perform_job is seam


def test_a_work_horse_that_was_killed(server: int, tmp_path: Path) -> None:
    """The worker writes the lane, with what it says of that and the retry."""
    with testing.record(tmp_path):
        worker = connected(server)
        job = queue.enqueue(doubled, 4, retry=Retry(max=1))
        worker.handle_job_failure(job, queue, exc_string="Work-horse terminated unexpectedly; ")
    [lane] = executions(tmp_path)
    assert lane.entry is not None
    assert "terminated unexpectedly" in (lane.entry.text(spans.ERROR) or str(outcome(lane)))
    assert (outcome(lane)["state"], published(lane)) == ("RETRY", [f"{__name__}.doubled"])
