"""Tasks of Celery: recorded in a real worker, replayed by a worker and by a call, with broker and peer gone."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.celery.harness import EXECUTIONS, executions, loaded, record, replay, worker
from timetracer_otel import spans
from timetracer_otel.cassette.model import Kind, Lane
from timetracer_otel.families.kinds import task

OWN = Counter({
    "orders.add": 6, "orders.flaky": 2, "orders.failing": 1, "orders.parent": 1, "orders.ignored": 1,
    "orders.rejected": 1, "orders.fetch": 1, "orders.unpickled": 1,
})  # fmt: skip


class Recorded(NamedTuple):
    """A recording of a worker."""

    pool: str
    cassettes: Path
    peer: str

    def lanes(self, name: str) -> list[Lane]:
        """The executions of a task, in order of start."""
        return [lane for lane in executions(loaded(self.cassettes).lanes) if lane.entry and name in lane.entry.name]

    def called(self, code: str, **settings: str) -> tuple[int, str]:
        """Run code outside any worker."""
        return replay(self.cassettes, self.peer, command=("python", "-c", code), **settings)

    def verified(self, **settings: str) -> tuple[int, str]:
        """Verify by the worker."""
        return replay(self.cassettes, self.peer, "--verify", command=worker(self.pool), **settings)


_MORE_POOLS = [pytest.param(pool, marks=pytest.mark.system) for pool in ("threads", "prefork")]  # a minute each


@pytest.fixture(scope="module", params=["solo", *_MORE_POOLS])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A worker of each pool, recorded once."""
    pool = str(request.param)
    return Recorded(pool, *record(tmp_path_factory.mktemp(pool), pool))


def outcome(lane: Lane) -> dict[str, object]:
    """What came of an execution."""
    assert lane.entry is not None
    told: dict[str, object] = json.loads(lane.entry.payload(task.OUTCOME) or b"{}")
    return told


def test_each_execution_is_a_lane(recorded: Recorded) -> None:
    """A retry is another one; each has the message as it came, its arguments by name, and what came of it."""
    lanes = executions(loaded(recorded.cassettes).lanes)
    assert Counter(str(lane.entry.text(task.NAME)) for lane in lanes if lane.entry) == OWN
    assert sum(OWN.values()) == EXECUTIONS
    first, second = recorded.lanes("orders.flaky")
    assert first.entry is not None
    assert second.entry is not None
    assert first.entry.text(task.TASK_ID) == second.entry.text(task.TASK_ID)
    assert (first.entry.attributes[task.RETRIES], second.entry.attributes[task.RETRIES]) == (0, 1)
    assert json.loads(first.entry.text(task.ARGUMENTS) or "") == {"order_id": 12345}
    assert json.loads(first.entry.payload(task.BODY) or b"")[:2] == [[], {"order_id": 12345}]
    assert first.entry.kind is Kind.CONSUMER
    assert outcome(first)["state"] == "RETRY"
    assert [call.kind for call in first.calls] == [Kind.PRODUCER]
    assert outcome(second)["state"] == "SUCCESS"


def test_every_end_is_told(recorded: Recorded) -> None:
    """Failures with their exception, rejected and ignored ones by their state."""
    [failed], [rejected], [ignored] = (recorded.lanes(f"orders.{name}") for name in ("failing", "rejected", "ignored"))
    assert failed.entry is not None
    error = json.loads(failed.entry.text(spans.ERROR) or "{}")
    assert (error["type"], error["args"]) == ("builtins.KeyError", ["A-1"])
    assert "orders.py" in (failed.entry.text(task.TRACEBACK) or "")
    assert [outcome(lane)["state"] for lane in (failed, rejected, ignored)] == ["FAILURE", "REJECTED", "IGNORED"]


def test_the_worker_gets_the_recorded_tasks_and_ends(recorded: Recorded) -> None:
    """Without a broker: each task once, every call answered, exit status 0."""
    status, said = replay(recorded.cassettes, recorded.peer, command=worker(recorded.pool))
    assert status == 0, said
    assert f"{EXECUTIONS} requests, {EXECUTIONS} of them recorded" in said, said
    assert "0 missed, 0 unused" in said, said


def test_verified(recorded: Recorded) -> None:
    """An unchanged app passes: outcomes with the ids and tokens that were drawn, calls and publishes."""
    status, said = recorded.verified()
    assert f"{EXECUTIONS} checked, {EXECUTIONS} passed, 0 differ" in said, said
    assert status == 0, said


@pytest.mark.system
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ("result", "outcome: $.value: 3 recorded, 103 now"),
        ("publish", "extra messaging kombu publish celery orders.add"),
        ("no retry", "missing messaging kombu publish celery orders.flaky"),
        ("call", "/orders/9"),
    ],
)
def test_a_change_is_found_and_named(recorded: Recorded, changed: str, told: str) -> None:
    """Another result, an added publish, a dropped retry, another call."""
    status, said = recorded.verified(CHANGED=changed)
    assert status == 1, said
    assert told in said, said


def test_called_as_a_function(recorded: Recorded) -> None:
    """A plain call follows the lane of that task with those arguments, by position or by name."""
    [parent] = recorded.lanes("orders.parent")
    status, said = recorded.called("from orders import parent, fetch; print(parent(7)); print(fetch(order_id=9))")
    assert status == 0, said
    assert f"{outcome(parent)['value']}\nat /orders/9\n" in said, said
    assert "2 requests, 2 of them recorded" in said, said
    status, said = recorded.called("from orders import failing; failing('A-1')")
    assert (status, "KeyError: 'A-1'" in said) == (1, True), said


def test_a_call_that_was_not_recorded_follows_none(recorded: Recorded) -> None:
    """Other arguments are another call: nothing is invented for it, and the closest lane is named."""
    [fetch] = recorded.lanes("orders.fetch")
    status, said = recorded.called("from orders import fetch; fetch(10)")
    assert status != 0, said
    assert "ReplayMiss" in said, said
    assert f"(lane {fetch.id}), which differs in arguments.order_id: 9 recorded, 10 asked" in said, said


def test_tasks_that_the_command_does_not_take_fail(recorded: Recorded) -> None:
    """A command that is no worker drives nothing: an error for each lane, never a pass."""
    command = ("python", "-c", "print('done')")
    status, said = replay(recorded.cassettes, recorded.peer, "--verify", command=command)
    assert status == 1, said
    assert f"{EXECUTIONS} not driven" in said, said
    assert "nothing drives this lane" in said, said
