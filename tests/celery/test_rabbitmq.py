"""Tasks of Celery over RabbitMQ, in forked children of which some are killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from examples.support import Program
from tests.celery.harness import HERE, environment, executions, loaded, replay, wait_for
from tests.support.rabbitmq import running
from timetracer_otel import spans
from timetracer_otel.cassette.model import Kind
from timetracer_otel.families.kinds import task

pytestmark = pytest.mark.system  # a real server

WORKER = ("celery", "-A", "payments", "worker", "--pool", "prefork", "-c", "1", "-l", "info")
EXECUTIONS = 8
NOWHERE = "amqp://guest:guest@rabbit.invalid:5672/"


@pytest.fixture(scope="module")
def cassettes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded worker; its broker is gone afterwards."""
    folder = tmp_path_factory.mktemp("rabbitmq")
    with running() as rabbit:
        env = environment(BROKER_URL=rabbit.url, TIMETRACER_DIR=str(folder / "cassettes"))
        subprocess.run([sys.executable, "payments.py"], cwd=HERE, env=env, check=True, timeout=60)
        command = ["opentelemetry-instrument", "--traces_exporter", "timetracer", *WORKER]
        with Program(command, log=folder / "worker.log", env=env, cwd=HERE):
            wait_for(folder / "cassettes", EXECUTIONS)
    return folder / "cassettes"


def test_a_killed_child_leaves_its_lane(cassettes: Path) -> None:
    """The main process writes it: the message, the calls that were made until then, and that the child was lost."""
    lanes = executions(loaded(cassettes).lanes)
    [lane] = [lane for lane in lanes if lane.entry and lane.entry.text(task.NAME) == "payments.killed"]
    lost = lane.entry
    assert lost is not None
    assert len(lanes) == EXECUTIONS
    assert json.loads(lost.text(task.ARGUMENTS) or "") == {"order_id": 7}
    assert json.loads(lost.payload(task.BODY) or b"")[:2] == [[], {"order_id": 7}]
    assert json.loads(lost.text(spans.ERROR) or "")["type"] == "billiard.exceptions.WorkerLostError"
    assert lost.text(task.STATE) == "FAILURE"
    assert [call.kind for call in lane.calls] == [Kind.PRODUCER]
    assert {call.trace_id for call in lane.calls} == {lost.trace_id}
    assert not list(cassettes.glob(".*.part"))


def test_a_hard_time_limit_is_an_outcome(cassettes: Path) -> None:
    """One lane, whether the child could still write it or not, with what it had asked for."""
    lanes = executions(loaded(cassettes).lanes)
    limited = [lane for lane in lanes if lane.entry and lane.entry.text(task.NAME) == "payments.endless"]
    assert len(limited) == 2
    for lane in limited:
        assert lane.entry is not None
        error = json.loads(lane.entry.payload(task.OUTCOME) or b"")["error"]
        assert (error["type"], error["args"]) == ("billiard.exceptions.TimeLimitExceeded", [1])
        assert [call.kind for call in lane.calls] == [Kind.PRODUCER]


def test_the_tasks_are_verified_with_no_broker(cassettes: Path) -> None:
    """They end as they did, killed ones too, and a changed one is found."""
    status, said = replay(cassettes, "", "--verify", command=WORKER, BROKER_URL=NOWHERE)
    assert f"{EXECUTIONS} checked, {EXECUTIONS} passed" in said, said
    assert status == 0, said
    status, said = replay(cassettes, "", "--verify", command=WORKER, BROKER_URL=NOWHERE, CHANGED="1")
    assert status == 1
    assert said.count("DIFFERS TASK payments.double") == 5, said


def test_a_client_gets_its_results_by_messages(tmp_path: Path) -> None:
    """Of the backend ``rpc://``: each answers the message that asked for it, so that nobody waits in vain."""
    client, recording = (sys.executable, "results.py"), ("opentelemetry-instrument", "--traces_exporter", "timetracer")
    with running() as rabbit:
        env = environment(BROKER_URL=rabbit.url, TIMETRACER_DIR=str(tmp_path / "cassettes"))
        worker = ["celery", "-A", "results", "worker", "--pool", "solo", "-l", "error"]
        with Program(worker, log=tmp_path / "worker.log", env=env, cwd=HERE):
            done = subprocess.run(
                (*recording, *client), cwd=HERE, env=env, capture_output=True, text=True, timeout=90, check=False
            )
    assert (done.returncode, done.stdout) == (0, "[2, 'KeyError(7)', 0, 2, 4]\n"), done.stderr
    status, said = replay(tmp_path / "cassettes", "", command=client, BROKER_URL=NOWHERE)
    assert (status, done.stdout in said, "0 missed, 0 unused" in said) == (0, True, True), said
    status, said = replay(tmp_path / "cassettes", "", "--verify", command=client, BROKER_URL=NOWHERE)
    assert (status, "1 checked, 1 passed" in said) == (0, True), said
    status, said = replay(tmp_path / "cassettes", "", "--verify", command=client, BROKER_URL=NOWHERE, CHANGED="1")
    assert (status, "changed messaging kombu publish celery results.add" in said) == (1, True), said
