"""Jobs of RQ: recorded in real workers, replayed by a worker and by a call, with Redis and the peer gone."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.redis.conftest import serving
from tests.support.workers import App, Recorded, outcome, published, record
from timetracer_otel import spans
from timetracer_otel.cassette.model import Kind
from timetracer_otel.families.kinds import task

pytestmark = pytest.mark.system  # redis-server is no Python package

HERE = Path(__file__).parent
EXECUTIONS = Counter({
    "orders.add": 6, "orders.flaky": 2, "orders.again": 2, "orders.failing": 1, "orders.parent": 1, "orders.waits": 1,
    "orders.slow": 1, "orders.notes": 1, "orders.fetch": 1,
})  # fmt: skip


@pytest.fixture(scope="module", params=["SimpleWorker", "Worker"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A worker of each class, recorded once; its Redis is gone by then."""
    folder = tmp_path_factory.mktemp("rq")
    with serving(folder) as port:
        url = f"redis://127.0.0.1:{port}"
        worker = ("rq", "worker", "orders", "-u", url, "-w", f"rq.{request.param}", "--with-scheduler")
        app = App(HERE, "orders", EXECUTIONS.total(), worker, {"REDIS_PORT": str(port)})
        return record(app, folder)


def test_each_execution_is_a_lane(recorded: Recorded) -> None:
    """A retry is another one; each has the job as it came, its arguments by name, and what came of it."""
    assert Counter(str(lane.entry.text(task.NAME)) for lane in recorded.lanes() if lane.entry) == EXECUTIONS
    first, second = recorded.lanes("orders.flaky")
    entry, _ = recorded.assert_tried_twice("orders.flaky")
    assert json.loads(entry.text(task.ARGUMENTS) or "") == {"order_id": 12345}
    assert entry.kind is Kind.CONSUMER
    assert outcome(first)["state"] == "RETRY"
    assert published(first) == ["orders.flaky"]
    assert outcome(second)["state"] == "SUCCESS"


def test_calls_are_those_of_the_app(recorded: Recorded) -> None:
    """Not what RQ writes for itself; what callbacks ask is one, and that a job releases those that waited for it."""
    quiet, *_ = [lane for lane in recorded.lanes("orders.add") if not lane.calls]
    assert outcome(quiet)["state"] == "SUCCESS"
    [fetched] = recorded.lanes("orders.fetch")
    assert [call.attributes[spans.PLUGIN] for call in fetched.calls] == ["redis", "urllib"]
    asked = [published(lane) or [call.name for call in lane.calls] for lane in recorded.lanes("orders.add")]
    assert ["dependents"] in asked
    assert ["LPUSH"] in asked


def test_every_end_is_told(recorded: Recorded) -> None:
    """Failures and timeouts with their exception; a job that asks to be run again by its state."""
    [failed], [late] = (recorded.lanes(f"orders.{name}") for name in ("failing", "slow"))
    assert failed.entry is not None
    assert late.entry is not None
    error = json.loads(failed.entry.text(spans.ERROR) or "{}")
    assert (error["type"], error["args"]) == ("builtins.KeyError", ["A-1"])
    assert "orders.py" in (failed.entry.text(task.TRACEBACK) or "")
    assert "JobTimeoutException" in (late.entry.text(spans.ERROR) or "")
    assert [outcome(lane)["state"] for lane in recorded.lanes("orders.again")] == ["RETRY", "SUCCESS"]


def test_the_worker_gets_the_recorded_jobs_and_ends(recorded: Recorded) -> None:
    """Without Redis: each job once, every call answered, exit status 0."""
    recorded.assert_replays()


def test_verified(recorded: Recorded) -> None:
    """An unchanged app passes: outcomes with the ids and tokens that were drawn, calls and publishes."""
    recorded.assert_verifies()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ("result", "outcome: $.value: 3 recorded, 103 now"),
        ("publish", "extra messaging rq publish orders orders.add"),
        ("no retry", "missing messaging rq publish orders orders.flaky"),
        ("call", "/orders/9"),
        ("write", "'INCRBY orders:9 1' recorded, 'INCRBY orders:9 2' now"),
    ],
)
def test_a_change_is_found_and_named(recorded: Recorded, changed: str, told: str) -> None:
    """Another result, an added publish, a dropped retry, another call, another write."""
    recorded.assert_finds(changed, told)


def test_called_as_a_function(recorded: Recorded) -> None:
    """A plain call follows the lane of that job with those arguments, by position or by name, of asyncio too."""
    [parent] = recorded.lanes("orders.parent")
    code = "import asyncio, orders; print(orders.parent(7)); print(orders.fetch(order_id=9))"
    status, said = recorded.called(f"{code}; print(asyncio.run(orders.waits(0.01)))")
    assert status == 0, said
    assert f"{outcome(parent)['value']}\nat /orders/9\nwaited\n" in said, said
    assert "3 requests, 3 of them recorded" in said, said
    status, said = recorded.called("import orders; orders.fetch(10)")
    assert status != 0, said
    assert "ReplayMiss" in said, said
