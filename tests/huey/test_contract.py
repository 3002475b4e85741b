"""Tasks of Huey: recorded in real consumers, replayed by a consumer and by a call, with storage and peer gone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.redis.conftest import serving
from tests.support.workers import App, Recorded, outcome, published, record
from timetracer_otel import spans
from timetracer_otel.families.kinds import task

pytestmark = pytest.mark.system  # redis-server is no Python package, and consumers take their time

HERE = Path(__file__).parent
EXECUTIONS = Counter({
    "shop.add": 6, "shop.again": 2, "shop.flaky": 2, "shop.failing": 1, "shop.fetch": 1, "shop.locked": 1,
    "shop.parent": 1,
})  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite thread", "redis process"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A consumer on each storage, recorded once; the storage is gone by then."""
    storage, kind = str(request.param).split()
    folder = tmp_path_factory.mktemp("huey")
    file = folder / "shop.db"
    with serving(folder) as port:
        worker = ("huey_consumer", "shop.huey", "-w", "2", "-k", kind)
        settings = {"STORAGE": storage, "STORAGE_FILE": str(file), "REDIS_PORT": str(port)}
        found = record(App(HERE, "shop", EXECUTIONS.total(), worker, settings), folder)
    for left in folder.glob("shop.db*"):
        left.unlink()
    return found


def test_each_execution_is_a_lane(recorded: Recorded) -> None:
    """A retry is another one; a revoked task is none."""
    assert Counter(str(lane.entry.text(task.NAME)) for lane in recorded.lanes() if lane.entry) == EXECUTIONS
    first, second = recorded.lanes("shop.flaky")
    recorded.assert_tried_twice("shop.flaky")
    assert [outcome(lane)["state"] for lane in (first, second)] == ["RETRY", "SUCCESS"]
    assert published(first) == ["shop.flaky"]
    [failed] = recorded.lanes("shop.failing")
    assert failed.entry is not None
    assert "A-1" in (failed.entry.text(spans.ERROR) or "")


def test_calls_are_those_of_the_app(recorded: Recorded) -> None:
    """Locks and what it keeps by Huey, and what it asks of others; no queue, no results."""
    [fetched], [held] = recorded.lanes("shop.fetch"), recorded.lanes("shop.locked")
    assert [call.attributes[spans.PLUGIN] for call in fetched.calls] == ["urllib"]
    assert [call.name for call in held.calls] == ["huey put_if_empty", "huey delete_data"]


def test_the_consumer_gets_the_recorded_tasks_and_ends(recorded: Recorded) -> None:
    """Without a storage: each task once, every call answered, exit status 0."""
    recorded.assert_replays()


def test_verified(recorded: Recorded) -> None:
    """An unchanged app passes."""
    recorded.assert_verifies()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ("result", "outcome: $.value: 3 recorded, 103 now"),
        ("publish", "extra messaging huey publish shop shop.add"),
        ("no retry", "missing messaging huey publish shop shop.flaky"),
        ("call", "/orders/9"),
        ("write", "'put_if_empty shop.lock.lock"),
    ],
)
def test_a_change_is_found_and_named(recorded: Recorded, changed: str, told: str) -> None:
    """Another result, an added publish, a dropped retry, another call, another lock."""
    recorded.assert_finds(changed, told)


def test_called_as_a_function(recorded: Recorded) -> None:
    """A plain call follows the lane of that task with those arguments, by position or by name."""
    [parent] = recorded.lanes("shop.parent")
    status, said = recorded.called("import shop; print(shop.parent.call_local(7), shop.fetch.call_local(order_id=9))")
    assert status == 0, said
    assert f"{outcome(parent)['value']} at /orders/9\n" in said, said
    status, said = recorded.called("import shop; shop.flaky.call_local(12345, task=shop.flaky.s())")  # its own task
    assert (status, "1 requests, 1 of them recorded" in said) == (1, True), said
    status, said = recorded.called("import shop; shop.fetch.call_local(10)")
    assert status != 0, said
    assert "ReplayMiss" in said, said
