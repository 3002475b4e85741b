"""Tasks that web requests ask for: calls of the request's lane, beside the tasks' own lanes in the same cassettes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.celery.harness import HERE, environment, executions, loaded, replay, wait_for, worker
from timetracer_otel.cassette.model import Kind

FLASK = ("flask", "--app", "web", "run", "--port")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A web app and a worker recorded into one folder; the cassettes, and the id of the task that was asked for."""
    folder = tmp_path_factory.mktemp("both")
    broker, cassettes, port = folder / "broker", folder / "cassettes", free_port()
    for name in (broker, folder / "broker-control"):
        name.mkdir()
    env = environment(BROKER=str(broker), TIMETRACER_DIR=str(cassettes))
    record = ["opentelemetry-instrument", "--traces_exporter", "timetracer"]
    with (
        Program([*record, *FLASK, str(port)], log=folder / "web.log", env=env, cwd=HERE) as web,
        Program([*record, *worker("solo")], log=folder / "worker.log", env=env, cwd=HERE),
    ):
        web.wait_for_port(port)
        answer = Ask("POST", "/orders/4", {}).send(port)
        wait_for(cassettes, 1)
    shutil.rmtree(broker)
    return cassettes, str(json.loads(answer.body)["id"])


@pytest.mark.system
def test_the_request_publishes(both: tuple[Path, str]) -> None:
    """The publish is a PRODUCER span in the request's lane; the task is in a lane of its own, in the same trace."""
    cassettes, _ = both
    web, ran = (lane for lane in sorted(loaded(cassettes).lanes, key=lambda lane: len(executions([lane]))))
    assert [call.kind for call in web.calls] == [Kind.PRODUCER]
    assert web.entry is not None
    assert ran.entry is not None
    assert web.entry.trace_id == ran.entry.trace_id


@pytest.mark.system
def test_the_command_says_which_are_verified(both: tuple[Path, str]) -> None:
    """A server takes the request, a worker the task; the other one is reported as not driven, and fails."""
    cassettes, _ = both
    for command in ((*FLASK, "0"), worker("solo")):
        status, said = replay(cassettes, "", "--verify", command=command)
        assert status == 1, said
        assert "1 checked, 1 passed, 0 differ, 1 not driven" in said, said


@pytest.mark.system
def test_a_changed_publish_is_named(both: tuple[Path, str]) -> None:
    """Another argument of the task that a request asks for."""
    cassettes, _ = both
    status, said = replay(cassettes, "", "--verify", command=(*FLASK, "0"), CHANGED="web")
    assert status == 1, said
    assert "changed messaging kombu publish celery orders.add: $.body[0][1]: 1 recorded, 2 now" in said, said


@pytest.mark.system
def test_the_same_id_is_given_back(both: tuple[Path, str]) -> None:
    """The app answers with the id that the task had; nothing is sent anywhere."""
    cassettes, task_id = both
    code = (
        "import web; client = web.app.test_client(); "
        "print(client.post('/orders/4', json={}, headers={'Host': 'x'}).get_json()['id'])"
    )
    status, said = replay(cassettes, "", command=("python", "-c", code))
    assert status == 0, said
    assert task_id in said, said
