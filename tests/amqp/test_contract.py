"""Programs over RabbitMQ: recorded with a real server, replayed and verified with none."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from examples.support import Program
from tests.support.commands import OTEL, REPLAY
from tests.support.rabbitmq import Rabbit, running
from timetracer_otel import spans
from timetracer_otel.cassette import loading
from timetracer_otel.cassette.finding import below
from timetracer_otel.cassette.model import Kind, Lane
from timetracer_otel.families.kinds import message

pytestmark = pytest.mark.system  # a real server

HERE: Final = Path(__file__).parent
_SECONDS: Final = 120.0


@pytest.fixture(scope="module")
def rabbit() -> Iterator[Rabbit]:
    """A server."""
    with running() as server:
        yield server


class Recorded(NamedTuple):
    """A recorded program."""

    cassettes: Path
    program: tuple[str, ...]
    printed: str

    def lanes(self) -> list[Lane]:
        """Its messages, in order of start."""
        found = loading.load(below(self.cassettes)).lanes
        return sorted((one for one in found if one.entry), key=lambda one: one.entry.start if one.entry else 0)

    def outcomes(self) -> list[object]:
        """What was told of each message."""
        assert message.KIND.outcome is not None
        return [message.KIND.outcome(one.entry.attributes) for one in self.lanes() if one.entry]

    def replayed(self, *options: str, **settings: str) -> tuple[int, str]:
        """Run it again with no server; exit status and what was said."""
        command = (*REPLAY, str(self.cassettes), *options, "--", *self.program)
        done = _run(command, AMQP_URL="amqp://guest:guest@rabbit.invalid:5672/", **settings)
        return done.returncode, done.stdout + done.stderr


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "TIMETRACER_RAISE_FAULTS": "1", **settings}


def _run(command: tuple[str, ...], **settings: str) -> subprocess.CompletedProcess[str]:
    env = _environment(settings)
    return subprocess.run(command, cwd=HERE, env=env, capture_output=True, text=True, timeout=_SECONDS, check=False)


def program(name: str, *arguments: str) -> tuple[str, ...]:
    """The command line of a program."""
    return (sys.executable, name, *arguments)


def record(rabbit: Rabbit, folder: Path, command: tuple[str, ...], **settings: str) -> Recorded:
    """Record a program that ends by itself."""
    recording = (*OTEL, "--traces_exporter", "timetracer", *command)
    done = _run(recording, AMQP_URL=rabbit.url, TIMETRACER_DIR=str(folder), STOPS="1", **settings)
    assert done.returncode == 0, done.stderr
    return Recorded(folder, command, done.stdout)


def record_serving(rabbit: Rabbit, folder: Path, command: tuple[str, ...], mark: str, client: tuple[str, ...]) -> None:
    """Record a program that a client asks something of as soon as it serves."""
    log = folder / "log"
    env = _environment({"AMQP_URL": rabbit.url, "TIMETRACER_DIR": str(folder / "server")})
    with Program([*OTEL, "--traces_exporter", "timetracer", *command], log=log, env=env, cwd=HERE):
        _wait_for(log, mark)
        record(rabbit, folder / "client", client)
        _wait_for_lanes(folder / "server", 3)


def _wait_for(log: Path, mark: str) -> None:
    until = time.monotonic() + _SECONDS
    while not log.exists() or mark not in log.read_text():
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)


def _wait_for_lanes(cassettes: Path, count: int) -> None:
    until = time.monotonic() + _SECONDS
    while len(list(cassettes.rglob("MESSAGE__*"))) < count:
        assert time.monotonic() < until
        time.sleep(0.05)


def _own(lane: Lane) -> list[str]:
    """The names of its calls, which are the instrumentor's spans; that has two for a message of a blocking channel."""
    return [call.name for call in lane.calls if call.text(spans.PLUGIN)]


def _six_are_replayed(recorded: Recorded) -> None:
    """Each prints the same again, and passes."""
    status, said = recorded.replayed()
    assert (status, recorded.printed in said) == (0, True), said
    assert "6 requests, 6 of them recorded" in said
    assert "0 missed, 0 unused" in said
    status, said = recorded.replayed("--verify")
    assert (status, "6 checked, 6 passed, 0 differ" in said) == (0, True), said


@pytest.mark.parametrize("does", ["pair", "turns"])
def test_each_of_two_consumers_gets_its_own(rabbit: Rabbit, tmp_path: Path, does: str) -> None:
    """Two of one queue, at once and one behind the other, have the messages that they had."""
    recorded = record(rabbit, tmp_path, program("blocking.py", does))
    assert len(set(recorded.printed.splitlines())) == 7
    _six_are_replayed(recorded)


REFUSED: Final = [
    {"records": [["ack"]]},
    {"records": [["ack"]]},
    {"records": [[{"nack": {"requeue": False}}]]},
    {"records": [[{"reject": {"requeue": False}}]]},
    {"records": [["ack"]]},
    {"records": [["ack"]]},
]


@pytest.mark.parametrize("does", ["call_back", "loop"])
def test_messages_of_pika_are_lanes(rabbit: Rabbit, tmp_path: Path, does: str) -> None:
    """Each with what the broker was told, and the publish; replayed it prints the same, verified it passes."""
    record(rabbit, tmp_path / "sent", program("blocking.py", "send"))
    recorded = record(rabbit, tmp_path / "worked", program("blocking.py", does))
    assert recorded.outcomes() == REFUSED
    assert [_own(lane) for lane in recorded.lanes()] == [["shop send"]] * 2 + [[], []] + [["shop send"]] * 2
    for lane in recorded.lanes():
        assert lane.entry is not None
        assert lane.entry.kind is Kind.CONSUMER
        assert lane.entry.parent_id  # the instrumentor's, which the sender's trace goes on in
    _six_are_replayed(recorded)


@pytest.fixture(scope="module")
def worked(rabbit: Rabbit, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A worker of callbacks, recorded once."""
    record(rabbit, tmp_path_factory.mktemp("sent"), program("blocking.py", "send"))
    return record(rabbit, tmp_path_factory.mktemp("worked"), program("blocking.py", "call_back"))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ("refactored", ""),
        ("body", "$.body.total: 20 recorded, 30 now"),
        ("extra", "extra messaging rabbitmq publish shop/audit"),
        ("dropped", "missing messaging rabbitmq publish shop/done."),
        ("key", "extra messaging rabbitmq publish shop/audit"),
        ("header", "$.headers.x: 1 recorded, 2 now"),
        ("ack", "'ack' recorded, {'nack': {'requeue': False}} now"),
    ],
)
def test_changes_of_a_worker_over_pika_are_named(worked: Recorded, changed: str, told: str) -> None:
    """In every message: a function goes on with the next one. How it is written does not count."""
    status, said = worked.replayed("--verify", CHANGED=changed)
    if told:
        assert (status, said.count(told)) == (1, 4), said
    else:
        assert (status, "6 checked, 6 passed, 0 differ" in said) == (0, True), said


@pytest.mark.parametrize("does", ["send", "poll", "threads"])
def test_programs_over_pika_see_the_same(rabbit: Rabbit, tmp_path: Path, does: str) -> None:
    """Confirmations, returned messages, closed channels, messages that are fetched; late settling from threads."""
    if does != "send":
        record(rabbit, tmp_path / "sent", program("blocking.py", "send"))
    recorded = record(rabbit, tmp_path / "run", program("blocking.py", does))
    status, said = recorded.replayed()
    assert (status, recorded.printed in said) == (0, True), said
    assert "0 missed, 0 unused" in said
    if does == "threads":
        assert recorded.outcomes() == [{"records": [["ack"]]}] * 6
        assert "6 checked, 6 passed" in recorded.replayed("--verify")[1]
    if does == "send":
        record(rabbit, tmp_path / "emptied", program("blocking.py", "poll"))


@pytest.mark.parametrize("name", ["blocking.py", "streaming.py"])
def test_requests_and_answers(rabbit: Rabbit, tmp_path: Path, name: str) -> None:
    """Who asks gets its answers behind its requests; who answers gets the requests as messages."""
    record_serving(rabbit, tmp_path, program(name, "serve"), "serves", program(name, "ask"))
    client = Recorded(tmp_path / "client", program(name, "ask"), "")
    assert client.lanes() == []
    status, said = client.replayed()
    assert status == 0, said
    assert "0 missed, 0 unused" in said
    status, said = client.replayed("--verify")  # as a script, with all that it prints
    assert (status, "1 checked, 1 passed" in said) == (0, True), said
    status, said = Recorded(tmp_path / "server", program(name, "serve"), "").replayed("--verify")
    assert (status, "0 differ" in said) == (0, True), said


def test_a_loop_of_callbacks_ends(rabbit: Rabbit, tmp_path: Path) -> None:
    """It would go on for ever: with nothing more recorded it ends, by itself and while it is verified."""
    record(rabbit, tmp_path / "sent", program("blocking.py", "send"))
    log, env = tmp_path / "log", _environment({"AMQP_URL": rabbit.url, "TIMETRACER_DIR": str(tmp_path / "run")})
    command = program("selecting.py")
    with Program([*OTEL, "--traces_exporter", "timetracer", *command], log=log, env=env, cwd=HERE):
        _wait_for_lanes(tmp_path / "run", 6)
        _wait_for(log, "delivery_tag=6")
    recorded = Recorded(tmp_path / "run", command, "")
    status, said = recorded.replayed()
    assert (status, said.count("confirmed"), "0 missed, 0 unused" in said) == (0, 6, True), said
    status, said = recorded.replayed("--verify")
    assert (status, "6 checked, 6 passed" in said) == (0, True), said


@pytest.mark.parametrize("does", ["call_back", "loop"])
def test_messages_of_aio_pika_are_lanes(rabbit: Rabbit, tmp_path: Path, does: str) -> None:
    """Whether a function or an iterator takes them; an app that waits for ever ends."""
    sent = record(rabbit, tmp_path / "sent", program("streaming.py", "send"))
    status, said = sent.replayed()
    assert (status, sent.printed in said) == (0, True), said
    recorded = record(rabbit, tmp_path / "worked", program("streaming.py", does))
    outcomes = recorded.outcomes()
    refused = [one for one in outcomes if isinstance(one, dict) and one["records"] != [["ack"]]]
    assert (len(outcomes), len(refused)) == (5, 1)
    assert sorted(_own(lane) for lane in recorded.lanes()) == [[], *[["ashop,done.1 send"]] * 4]
    sender = {
        span.trace_id for session in loading.load(below(sent.cassettes)).sessions.values() for span in session.spans
    }
    assert all(lane.entry and lane.entry.trace_id in sender for lane in recorded.lanes())
    status, said = recorded.replayed()
    assert status == 0, said
    assert "5 requests, 5 of them recorded" in said
    assert "0 missed, 0 unused" in said
    assert ("the loop ends" if does == "loop" else "finally") in said
    status, said = recorded.replayed("--verify")
    assert (status, "5 checked, 5 passed, 0 differ" in said) == (0, True), said
    status, said = recorded.replayed("--verify", CHANGED="body")
    assert (status, said.count("$.body.total: 20 recorded, 30 now")) == (1, 4), said


def test_messages_that_aio_pika_fetches(rabbit: Rabbit, tmp_path: Path) -> None:
    """They are calls."""
    record(rabbit, tmp_path / "sent", program("streaming.py", "send"))
    recorded = record(rabbit, tmp_path / "run", program("streaming.py", "poll"))
    status, said = recorded.replayed()
    assert (status, recorded.printed in said, recorded.lanes()) == (0, True, []), said
