"""Tasks of Celery over Redis, by which kombu keeps its queues: that is the broker's traffic, and none of the app's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from examples.support import Program
from tests.celery.harness import HERE, environment, executions, loaded, replay, wait_for
from tests.redis.conftest import serving
from timetracer_otel import spans
from timetracer_otel.families.kinds import task

pytestmark = pytest.mark.system  # redis-server is no Python package

WORKER = ("celery", "-A", "payments", "worker", "--pool", "prefork", "-c", "1", "-l", "info")
SEND = "from payments import double, killed; double.delay(number=1); killed.delay(order_id=7)"
EXECUTIONS = 3
TASKS = 13
"""What ``canvas.send`` comes to."""
OF_THE_BROKER = ("ZADD", "ZREM", "HSET", "HDEL", "LPUSH")
"""How a message waits, is taken and is acknowledged."""


def test_what_keeps_the_queues_is_not_recorded(tmp_path: Path) -> None:
    """Neither in the session nor in a lane; the tasks are verified without it, one whose child is killed among them."""
    cassettes = tmp_path / "cassettes"
    with serving(tmp_path) as port:
        env = environment(BROKER_URL=f"redis://127.0.0.1:{port}", TIMETRACER_DIR=str(cassettes))
        subprocess.run([sys.executable, "-c", SEND], cwd=HERE, env=env, check=True, timeout=60)
        command = ["opentelemetry-instrument", "--traces_exporter", "timetracer", *WORKER]
        with Program(command, log=tmp_path / "worker.log", env=env, cwd=HERE):
            wait_for(cassettes, EXECUTIONS)
    assert len(executions(loaded(cassettes).lanes)) == EXECUTIONS
    recorded = "".join(path.read_text() for path in cassettes.glob("*/*/*.jsonl"))
    assert '"name":"publish payments.double"' in recorded or '"payments.double"' in recorded
    assert [name for name in OF_THE_BROKER if f'"name":"{name}' in recorded] == []
    status, said = replay(cassettes, "", "--verify", command=WORKER, BROKER_URL="redis://redis.invalid")
    assert f"{EXECUTIONS} checked, {EXECUTIONS} passed" in said, said
    assert status == 0, said


def test_what_celery_asks_of_its_backend_is_in_the_lanes(tmp_path: Path) -> None:
    """Of a task that is replaced by a group, of a chord that fails, behind a publish; a compressed message too.

    One that is called here, outside of any worker, follows its lanes: it does not subscribe to what it asks for, and
    its retry is the other lane.
    """
    cassettes, worker = tmp_path / "cassettes", tuple(word.replace("payments", "canvas") for word in WORKER)
    with serving(tmp_path) as port:
        env = environment(BROKER_URL=f"redis://127.0.0.1:{port}", TIMETRACER_DIR=str(cassettes))
        subprocess.run(
            [sys.executable, "-c", "import canvas; canvas.send()"], cwd=HERE, env=env, check=True, timeout=60
        )
        command = ["opentelemetry-instrument", "--traces_exporter", "timetracer", *worker]
        with Program(command, log=tmp_path / "worker.log", env=env, cwd=HERE):
            wait_for(cassettes, TASKS)
    lanes = executions(loaded(cassettes).lanes)
    [replaced] = [lane for lane in lanes if lane.entry and lane.entry.text(task.NAME) == "canvas.replaced"]
    commands = [call.name for call in replaced.calls if call.attributes.get(spans.PLUGIN) == "redis"]
    assert {"SUBSCRIBE", "SET"} <= set(commands)
    assert all(call.payload(spans.REQUEST) for lane in lanes for call in lane.calls)
    status, said = replay(cassettes, "", "--verify", command=worker, BROKER_URL="redis://redis.invalid")
    assert f"{TASKS} checked, {TASKS} passed" in said, said
    assert status == 0, said
    status, said = replay(cassettes, "", "--verify", command=worker, BROKER_URL="redis://redis.invalid", CHANGED="1")
    assert "changed messaging kombu publish celery canvas.add" in said, said
    assert status == 1, said
    code = "from canvas import asking; print('asked', asking.apply((8,)).get())"
    status, said = replay(cassettes, "", command=("python", "-c", code), BROKER_URL="redis://redis.invalid")
    _, again = [lane for lane in lanes if lane.entry and lane.entry.text(task.NAME) == "canvas.asking"]
    assert again.entry is not None
    assert f"asked {json.loads(again.entry.payload(task.OUTCOME) or b'')['value']}" in said, said
    assert (status, "2 requests, 2 of them recorded" in said, "0 missed" in said) == (0, True, True), said
