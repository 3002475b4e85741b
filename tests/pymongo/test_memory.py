"""Memory does not grow with the number of calls."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import pytest
from pymongo.write_concern import WriteConcern

from tests.pymongo.driver import DRIVERS
from tests.pymongo.harness import ELSEWHERE
from timetracer_otel import seams, testing
from timetracer_otel.families.mongodb import pymongo_cursors

CALLS = 10_000
MAX_GROWTH = CALLS // 4
"""Blocks of memory: far less than one for each call, and more than caches and other threads take meanwhile."""


def growth(step: Callable[[int], object], steps: int = CALLS) -> int:
    """Give the blocks of memory that so many steps leave allocated."""
    for number in range(300):
        step(number)
    gc.collect()
    before = sys.getallocatedblocks()
    for number in range(steps):
        step(number)
    gc.collect()
    return sys.getallocatedblocks() - before


@pytest.fixture
def client(mongo_uri: str) -> Any:
    """A client, and one document to find."""
    with DRIVERS["sync"].client(mongo_uri) as made:
        made.memory.things.drop()
        made.memory.things.insert_one({"_id": 1})
        yield made


@pytest.mark.system
def test_long_session_is_recorded_in_bounded_memory(client: Any, tmp_path: Path) -> None:
    """Ten thousand calls outside any request leave nothing behind but the file."""
    with testing.record(tmp_path):
        grown = growth(lambda _: client.memory.things.find_one({"_id": 1}))
    assert grown < MAX_GROWTH
    assert sum(file.read_bytes().count(b"\n") for file in tmp_path.rglob("SESSION*")) > CALLS


@pytest.mark.system
def test_unacknowledged_writes_are_recorded_in_bounded_memory(client: Any, tmp_path: Path) -> None:
    """Writes that await no reply do not pile up while they are recorded."""
    silent = client.memory.get_collection("silent", write_concern=WriteConcern(w=0))
    with testing.record(tmp_path):
        grown = growth(lambda number: silent.update_one({"_id": 1}, {"$set": {"n": number}}), CALLS // 2)
        runtime = seams.active()
        assert getattr(runtime, "open") == {}  # noqa: B009 - the protocol does not have it
    assert grown < MAX_GROWTH


@pytest.mark.system
def test_long_request_is_forgotten_when_it_is_written(client: Any, tmp_path: Path) -> None:
    """A request of ten thousand calls is held until its response, and then no longer."""
    app = flask.Flask("memory")

    @app.get("/<int:count>")
    def many(count: int) -> str:
        return str(sum(client.memory.things.find_one({"_id": 1})["_id"] for _ in range(count)))

    with testing.record(tmp_path):
        browser = app.test_client()
        browser.get("/300")
        gc.collect()
        before = sys.getallocatedblocks()
        assert browser.get(f"/{CALLS}").text == str(CALLS)
        runtime = seams.active()
        getattr(runtime, "sink").drain(30)  # noqa: B009 - the protocol does not have it
        browser.get("/1")
        gc.collect()
        left = sys.getallocatedblocks() - before
    assert left < MAX_GROWTH


def test_cursors_are_forgotten_in_replay(mongo_uri: str, tmp_path: Path) -> None:
    """A cursor that the app reads to its end, closes or drops leaves nothing behind."""

    def use(uri: str) -> None:
        with DRIVERS["sync"].client(uri) as client:
            for number in range(3):
                cursor = client.memory.many.find({"n": {"$gte": number}}, batch_size=2)
                next(cursor)
                cursor.close()
                list(client.memory.many.find({"m": {"$ne": number}}, batch_size=5))

    with DRIVERS["sync"].client(mongo_uri) as client:
        client.memory.many.drop()
        client.memory.many.insert_many([{"n": n} for n in range(20)])
    with testing.record(tmp_path):
        use(mongo_uri)
    before = set(pymongo_cursors._open)
    with testing.replay(tmp_path):
        use(ELSEWHERE)
        assert set(pymongo_cursors._open) == before
