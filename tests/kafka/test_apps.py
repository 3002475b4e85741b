"""Producers in web apps, and a consumer that is killed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.kafka.harness import HERE, NOWHERE, RECORD, SECONDS, run
from tests.support.commands import REPLAY
from tests.support.kafka import running
from timetracer_otel.cassette import loading
from timetracer_otel.cassette.finding import below
from timetracer_otel.cassette.model import Kind, Lane
from timetracer_otel.families.kinds import message

pytestmark = pytest.mark.system  # kfake is built with Go

FASTAPI = ("-m", "uvicorn", "web:fastapi_app", "--port")
FLASK = ("-m", "flask", "--app", "web:flask_app", "run", "--port")


def lanes(cassettes: Path) -> list[Lane]:
    """What was recorded, in order."""
    found = loading.load(below(cassettes)).lanes if cassettes.exists() and list(below(cassettes)) else []
    return sorted(found, key=lambda lane: lane.entry.start if lane.entry else 0)


@contextmanager
def started(command: tuple[str, ...], folder: Path, **env: str) -> Iterator[Program]:
    """A recorded program that runs."""
    environment = {**os.environ, "TIMETRACER_DIR": str(folder / "cassettes"), "TIMETRACER_RAISE_FAULTS": "1", **env}
    with Program([*RECORD, sys.executable, *command], log=folder / "log", env=environment, cwd=HERE) as program:
        yield program


@pytest.mark.parametrize(("app", "count"), [(FASTAPI, 4), (FLASK, 2)], ids=["fastapi", "flask"])
def test_a_web_app(app: tuple[str, ...], count: int, tmp_path: Path) -> None:
    """What a request sends is its calls, what a consumer in the background takes is verified beside the requests."""
    port, cassettes = free_port(), tmp_path / "cassettes"
    with running() as broker, started((*app, str(port)), tmp_path, KAFKA=broker.dsn) as program:
        program.wait_for_port(port)
        answers = [Ask("POST", f"/orders/{number}").send(port) for number in (1, 2)]
        wait_for(lambda: len(lanes(cassettes)) == count, tmp_path / "log")
    assert [answer.status for answer in answers] == [200, 200]
    assert b"1" in answers[1].body
    sent = [[call.kind for call in lane.calls] for lane in lanes(cassettes)]
    assert sent == [[Kind.PRODUCER] * (1 if app is FASTAPI else 3)] * count
    replay = (*REPLAY, "--verify", str(cassettes), "--", sys.executable, *app, "0")
    done = run(*replay, KAFKA=NOWHERE)
    assert (done.returncode, f"{count} checked, {count} passed, 0 differ" in done.stdout) == (0, True), done.stdout
    done = run(*replay, KAFKA=NOWHERE, MORE="1")
    assert done.returncode == 1
    assert "changed kafka send" in done.stdout, done.stdout


def wait_for(is_so: Callable[[], bool], log: Path) -> None:
    """Wait until something is so, for as long as a loaded machine may need."""
    until = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)


SLOW = """
import asyncio, os, sys
from aiokafka import AIOKafkaConsumer

async def main():
    async with AIOKafkaConsumer(
        "orders", bootstrap_servers=os.environ["KAFKA"], group_id="slow", auto_offset_reset="earliest",
        enable_auto_commit=False, session_timeout_ms=6000,
    ) as consumer:
        async for message in consumer:
            print("order", message.offset, flush=True)
            if message.offset == int(os.environ["STOP"]):
                if os.environ.get("HANG"):
                    await asyncio.sleep(3600)
                break
            await consumer.commit()

asyncio.run(main())
"""


def test_a_consumer_that_is_killed(tmp_path: Path) -> None:
    """Those before are whole; the one in the middle leaves nothing at all, and comes again, as it does without us."""
    (tmp_path / "slow.py").write_text(SLOW)
    slow, log = str(tmp_path / "slow.py"), tmp_path / "log"
    with running() as broker:
        assert run(sys.executable, "aiokafka_orders.py", KAFKA=broker.dsn, FILL="1").returncode == 0
        settings = {"KAFKA": broker.dsn, "STOP": "2", "HANG": "1"}
        with started((slow,), tmp_path, **settings) as program:
            wait_for(lambda: "order 2" in log.read_text() and len(lanes(tmp_path / "cassettes")) == 2, log)
            program.kill()
        offsets = [
            message.records(lane.entry)[0].properties["offset"] for lane in lanes(tmp_path / "cassettes") if lane.entry
        ]
        assert offsets == [0, 1]
        assert list((tmp_path / "cassettes").rglob("*.part")) == []
        again = run(sys.executable, slow, KAFKA=broker.dsn, STOP="4")
    seen = again.stdout.split()
    assert (again.returncode, seen[-1]) == (0, "4"), again.stderr
    assert seen[1] == "2"
