"""Actors of Dramatiq in one process: recorded over a stub broker, replayed over one of Redis that is not there."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dramatiq import Worker, actor, set_broker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import SkipMessage
from redis import Redis

from tests.support.workers import executions, outcome, published
from timetracer_otel import spans, testing
from timetracer_otel.families.kinds import task as tasks

_SECONDS = 60.0


class Shop:
    """An app with actors, made anew as a process makes it."""

    def __init__(self, broker: Any, folder: Path) -> None:
        self.broker = broker
        self.acknowledged = threading.Semaphore(0)
        broker.add_middleware(self)
        set_broker(broker)

        @actor(max_retries=0)
        def doubled(number: int) -> int:
            with sqlite3.connect(folder / "shop.db") as database:
                [[value]] = database.execute("select ?", (number * int(os.environ.get("FACTOR", "2")),))
            return int(value)

        @actor
        def passed_on(number: int) -> str:
            return str(doubled.send(number).message_id)

        @actor(max_retries=1, min_backoff=1, max_backoff=1)
        def failing() -> None:
            raise KeyError("A-1")

        self.doubled, self.passed_on, self.failing = doubled, passed_on, failing

    actor_options: frozenset[str] = frozenset()
    forks: tuple[Any, ...] = ()

    def after_ack(self, _broker: Any, _message: Any) -> None:
        """Count, as a middleware may."""
        self.acknowledged.release()

    after_nack = after_ack

    def __getattr__(self, name: str) -> Any:
        """Do nothing else."""
        if name.startswith(("before_", "after_")):
            return lambda *_args, **_kwargs: None
        raise AttributeError(name)

    def work(self, count: int) -> None:
        """Process so many messages, as a worker does."""
        worker = Worker(self.broker, worker_timeout=50, worker_threads=1)
        worker.start()
        for _ in range(count):
            assert self.acknowledged.acquire(timeout=_SECONDS)
        worker.stop()


def recorded(folder: Path, count: int, send: Callable[[Shop], object]) -> None:
    """Record that a worker processes some messages."""
    with testing.record(folder):
        shop = Shop(StubBroker(), folder)
        send(shop)
        shop.work(count)


def replayed(folder: Path, count: int) -> testing.Replay:
    """Let a worker process the recorded messages; there is no broker."""
    with testing.replay(folder) as replay:
        Shop(RedisBroker(client=Redis(port=1)), Path("/nonexistent")).work(count)
    return replay


def test_a_message_is_a_lane_with_its_calls(tmp_path: Path) -> None:
    """A replay answers all of them, and asks no broker."""
    recorded(tmp_path, 3, lambda shop: (shop.doubled.send(4), shop.passed_on.send(number=5)))
    lanes = executions(tmp_path)
    [passed] = [lane for lane in lanes if lane.entry and "passed_on" in lane.entry.name]
    assert published(passed) == ["doubled"]
    assert passed.entry is not None
    assert passed.entry.text(tasks.ARGUMENTS) == '{"number": 5}'
    assert [outcome(lane)["state"] for lane in lanes] == ["SUCCESS"] * 3
    seen = replayed(tmp_path, 3).outcome()
    assert (seen.misses, seen.unused, seen.refused, seen.followed) == ([], [], [], 3)


def test_retries_and_failures(tmp_path: Path) -> None:
    """A message that is tried again has a publish of itself, with the delay that was drawn; then its error."""
    recorded(tmp_path, 3, lambda shop: shop.failing.send())  # a delayed message is acknowledged, and sent anew
    retried, failed = executions(tmp_path)
    assert [outcome(lane)["state"] for lane in (retried, failed)] == ["RETRY", "FAILURE"]
    assert (published(retried), published(failed)) == (["failing"], [])
    assert failed.entry is not None
    assert "A-1" in (failed.entry.text(spans.ERROR) or "")
    assert replayed(tmp_path, 2).outcome().misses == []


def test_a_message_that_a_middleware_skips(tmp_path: Path) -> None:
    """It is a lane of that state; its actor is not called."""

    def send(shop: Shop) -> None:
        def skip(*_: Any) -> None:
            raise SkipMessage

        vars(shop)["before_process_message"] = skip
        shop.doubled.send(4)

    recorded(tmp_path, 1, send)
    [lane] = executions(tmp_path)
    assert (outcome(lane)["state"], lane.calls) == ("SKIPPED", [])


def test_a_miss_that_dramatiq_takes_for_a_failure_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker goes on, and the replay knows."""
    recorded(tmp_path, 1, lambda shop: shop.doubled.send(4))
    monkeypatch.setenv("FACTOR", "3")
    assert len(replayed(tmp_path, 1).outcome().misses) == 1


def test_called_as_a_function(tmp_path: Path) -> None:
    """A plain call follows the lane of that actor with those arguments."""
    recorded(tmp_path, 1, lambda shop: shop.doubled.send(4))
    with testing.replay(tmp_path) as replay:
        shop = Shop(StubBroker(), Path("/nonexistent"))
        assert shop.doubled(number=4) == 8
    assert (replay.outcome().misses, replay.outcome().unused, replay.outcome().followed) == ([], [], 1)


def test_recording_changes_nothing(tmp_path: Path) -> None:
    """Afterwards Dramatiq is as it was; an actor that is called by another belongs to that."""
    seam = StubBroker.enqueue
    with testing.record(tmp_path):
        shop = Shop(StubBroker(), tmp_path)
        assert shop.doubled(4) == 8  # no entry
        shop.doubled.send(4)
        shop.work(1)
    assert len(executions(tmp_path)) == 1
    assert StubBroker.enqueue is seam
