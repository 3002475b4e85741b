"""Programs on kombu without Celery: recorded over a broker, replayed and verified with none."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from examples.support import Program
from tests.celery.boxes import ORDERS
from tests.celery.harness import HERE, environment
from tests.support.commands import OTEL, REPLAY
from tests.support.rabbitmq import Rabbit, running
from timetracer_otel.cassette import loading
from timetracer_otel.cassette.finding import below
from timetracer_otel.cassette.model import Lane
from timetracer_otel.families.kinds import message

NOWHERE: Final = "amqp://guest:guest@rabbit.invalid:5672/"
ACK: Final = {"records": [["ack"]]}
REJECT: Final = {"records": [[{"reject": {"requeue": False}}]]}
_SECONDS: Final = 60.0


class Recorded(NamedTuple):
    """A recorded program, and what it printed."""

    cassettes: Path
    does: str
    printed: str

    def lanes(self) -> list[Lane]:
        """Its messages, in order of start."""
        found = loading.load(below(self.cassettes)).lanes
        return sorted((one for one in found if one.entry), key=lambda one: one.entry.start if one.entry else 0)

    def replayed(self, *options: str, **settings: str) -> tuple[int, str]:
        """Run it again with no broker; exit status and what was said."""
        command = (*REPLAY, str(self.cassettes), *options, "--", sys.executable, "boxes.py", self.does)
        env = environment(BROKER_URL=NOWHERE, TIMETRACER_RAISE_FAULTS="1", **settings)
        done = subprocess.run(command, cwd=HERE, env=env, capture_output=True, text=True, timeout=_SECONDS, check=False)
        return done.returncode, done.stdout + done.stderr


def record(folder: Path, does: str, **settings: str) -> Recorded:
    """Record a program that is told to stop behind the last message."""
    env = environment(TIMETRACER_DIR=str(folder), STOPS="1", TIMETRACER_RAISE_FAULTS="1", **settings)
    command = (*OTEL, "--traces_exporter", "timetracer", sys.executable, "boxes.py", does)
    done = subprocess.run(command, cwd=HERE, env=env, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return Recorded(folder, does, done.stdout)


def send(**settings: str) -> None:
    """Send the orders, unrecorded."""
    command = (sys.executable, "boxes.py", "send")
    subprocess.run(command, cwd=HERE, env=environment(**settings), check=True, timeout=_SECONDS)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A consumer over a broker of folders."""
    broker = tmp_path_factory.mktemp("broker")
    broker.with_name(f"{broker.name}-control").mkdir()
    send(BROKER=str(broker))
    return record(tmp_path_factory.mktemp("cassettes"), "callbacks", BROKER=str(broker))


def test_each_message_is_a_lane(recorded: Recorded) -> None:
    """With what the broker was told of it, and what was published for it."""
    assert message.KIND.outcome is not None
    found = {
        one.body: (message.KIND.outcome(lane.entry.attributes), len(lane.calls))
        for lane in recorded.lanes()
        if lane.entry is not None
        for one in message.records(lane.entry)
    }
    assert found == {
        b'{"id": %d, "price": 10}' % number: (ACK, 1) if number != 3 else (REJECT, 0) for number in range(1, ORDERS + 1)
    }


def test_it_gets_the_same_messages_and_ends(recorded: Recorded) -> None:
    """It goes on for ever by itself; nothing of it differs."""
    status, said = recorded.replayed()
    assert (status, said.partition("timetracer")[0]) == (0, recorded.printed)
    assert "4 calls answered (4 exact), 0 missed, 0 unused" in said


def test_a_change_is_named(recorded: Recorded) -> None:
    """A miss of one message leaves the consumer the next one, whatever its prefetch count."""
    assert recorded.replayed("--verify")[0] == 0
    status, said = recorded.replayed("--verify", CHANGED="body")
    assert status == 1
    assert said.count("changed messaging kombu publish shop/done: $.body.total: 20 recorded, 30 now") == 4
    assert "5 checked, 1 passed, 4 differ (4 changed)" in said


@pytest.fixture(scope="module")
def rabbit() -> Iterator[Rabbit]:
    """A server."""
    with running() as server:
        yield server


@pytest.mark.system
@pytest.mark.parametrize("does", ["on_message", "drain", "simple", "forever", "poll"])
def test_every_way_of_taking_messages(rabbit: Rabbit, tmp_path: Path, does: str) -> None:
    """Of a server whose driver hands out messages while it waits for another answer, too. Each ends in a replay."""
    send(BROKER_URL=rabbit.url)
    recorded = record(tmp_path, does, BROKER_URL=rabbit.url)
    assert len(recorded.lanes()) == ORDERS
    status, said = recorded.replayed()
    assert status == 0
    assert said.startswith(recorded.printed.removesuffix("ends\n"))
    status, said = recorded.replayed("--verify")
    assert f"{ORDERS} checked, {ORDERS} passed" in said, said
    assert status == 0


@pytest.mark.system
def test_events_of_celery_that_an_app_takes(tmp_path: Path) -> None:
    """A monitor by ``app.events.Receiver`` has a lane for each event, and ends behind the last recorded one."""
    recorded = record(tmp_path, "events", BROKER_URL="memory://")
    assert [len(lane.calls) for lane in recorded.lanes()] == [1] * ORDERS
    status, said = recorded.replayed("--verify")
    assert (status, f"{ORDERS} checked, {ORDERS} passed" in said) == (0, True), said
    status, said = recorded.replayed("--verify", CHANGED="body")
    assert (status, "changed messaging kombu publish shop/done: $.body.changed" in said) == (1, True), said


@pytest.mark.system
def test_an_answer_belongs_to_its_request(rabbit: Rabbit, tmp_path: Path) -> None:
    """It comes when the request has been sent, to a queue of another name, with the id of that request."""
    log, answers = tmp_path / "log", tmp_path / "answers"
    env = environment(BROKER_URL=rabbit.url, TIMETRACER_DIR=str(answers))
    command = [*OTEL, "--traces_exporter", "timetracer", sys.executable, "boxes.py", "serve"]
    with Program(command, log=log, env=env, cwd=HERE):
        _wait_until(lambda: "serves" in log.read_text())
        asked = record(tmp_path / "asked", "ask", BROKER_URL=rabbit.url)
        _wait_until(lambda: len(list(answers.rglob("MESSAGE__*"))) == 3)
    assert not asked.lanes()
    for one in (asked, Recorded(answers, "serve", "serves\n")):
        status, said = one.replayed()
        assert status == 0
        assert one.printed in said
        assert one.replayed("--verify")[0] == 0


def _wait_until(happens: Callable[[], bool]) -> None:
    until = time.monotonic() + _SECONDS
    while not happens():
        assert time.monotonic() < until
        time.sleep(0.05)
