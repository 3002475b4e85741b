"""Actors of Dramatiq: recorded in a real worker, replayed by a worker and by a call, with broker and peer gone."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.redis.conftest import serving
from tests.support.rabbitmq import running
from tests.support.workers import App, Recorded, outcome, published, record
from timetracer_otel import spans
from timetracer_otel.cassette import loading
from timetracer_otel.cassette.finding import below
from timetracer_otel.families.kinds import task

pytestmark = pytest.mark.system  # redis-server is no Python package

HERE = Path(__file__).parent
EXECUTIONS = Counter({
    "add": 8, "flaky": 2, "failing": 1, "fetch": 1, "parent": 1, "slow": 1, "told": 1, "waits": 1,
})  # fmt: skip


@pytest.fixture(scope="module", params=["redis 2", "rabbitmq 1"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A worker of so many processes on each broker, recorded once; the broker is gone by then."""
    broker, processes = str(request.param).split()
    folder = tmp_path_factory.mktemp("dramatiq")
    with ExitStack() as servers:
        settings = {"REDIS_PORT": str(servers.enter_context(serving(folder)))}
        if broker == "rabbitmq":
            settings["BROKER"] = servers.enter_context(running()).url
        worker = ("dramatiq", "shop", "--processes", processes, "--threads", "2")
        return record(App(HERE, "shop", EXECUTIONS.total(), worker, settings), folder)


def test_a_message_is_no_entry_beside_its_execution(recorded: Recorded) -> None:
    """What the driver of RabbitMQ sees of it is the worker's own."""
    lanes = loading.load(below(recorded.cassettes)).lanes
    assert {lane.entry.attributes[spans.ENTRY_KIND] for lane in lanes if lane.entry is not None} == {"task"}


def test_each_execution_is_a_lane(recorded: Recorded) -> None:
    """A retry is another one; each has the message as it came, its arguments by name, and what came of it."""
    assert Counter(str(lane.entry.text(task.NAME)) for lane in recorded.lanes() if lane.entry) == EXECUTIONS
    first, second = recorded.lanes("flaky")
    entry, _ = recorded.assert_tried_twice("flaky")
    assert json.loads(entry.text(task.ARGUMENTS) or "") == {"order_id": 12345}
    assert json.loads(entry.payload(task.BODY) or b"{}")["actor_name"] == "flaky"
    assert [outcome(lane)["state"] for lane in (first, second)] == ["RETRY", "SUCCESS"]
    assert published(first) == ["flaky"]
    [failed], [late] = recorded.lanes("failing"), recorded.lanes("slow")
    assert failed.entry is not None
    assert late.entry is not None
    assert "A-1" in (failed.entry.text(spans.ERROR) or "")
    assert "TimeLimitExceeded" in (late.entry.text(spans.ERROR) or "")


def test_calls_are_those_of_the_app(recorded: Recorded) -> None:
    """No broker, no results; an async actor's are its own, and a group's barrier belongs to who reached it last."""
    [fetched], [waited] = recorded.lanes("fetch"), recorded.lanes("waits")
    assert [call.attributes[spans.PLUGIN] for call in fetched.calls] == ["redis", "urllib"]
    assert [call.attributes[spans.PLUGIN] for call in waited.calls] == ["redis"]
    assert ["told"] in [published(lane) for lane in recorded.lanes("add")]


def test_the_worker_gets_the_recorded_messages_and_ends(recorded: Recorded) -> None:
    """Without a broker: each message once, every call answered, exit status 0."""
    recorded.assert_replays()


def test_verified(recorded: Recorded) -> None:
    """An unchanged app passes."""
    recorded.assert_verifies()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ("result", "outcome: $.value: 3 recorded, 103 now"),
        ("publish", "extra messaging dramatiq publish default add"),
        ("no retry", "missing messaging dramatiq publish default flaky"),
        ("call", "/orders/9"),
        ("write", "'INCRBY orders:9 1' recorded, 'INCRBY orders:9 2' now"),
    ],
)
def test_a_change_is_found_and_named(recorded: Recorded, changed: str, told: str) -> None:
    """Another result, an added publish, a dropped retry, another call, another write."""
    recorded.assert_finds(changed, told)


def test_called_as_a_function(recorded: Recorded) -> None:
    """A plain call follows the lane of that actor with those arguments, by position or by name; of an async one too."""
    [parent] = recorded.lanes("parent")
    status, said = recorded.called("import shop; print(shop.parent(7), shop.fetch(order_id=9), shop.waits(0.01))")
    assert status == 0, said
    assert f"{outcome(parent)['value']} at /orders/9 waited\n" in said, said
    status, said = recorded.called("import shop; shop.fetch(10)")
    assert status != 0, said
    assert "ReplayMiss" in said, said
