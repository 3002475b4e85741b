"""Cursors that the replayed app reads further than the recorded one did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import CursorNotFound

from tests.pymongo.driver import DRIVERS
from tests.pymongo.harness import ELSEWHERE, run
from timetracer_otel import ReplayMiss, testing

pytestmark = pytest.mark.parametrize("driver", DRIVERS)


def test_change_stream_beyond_the_recording_has_nothing_new(mongo_uri: str, tmp_path: Path, driver: str) -> None:
    """A change stream that was open when the recording ended stays open and says nothing: no miss, no invention."""
    get, entered = DRIVERS[driver].get, DRIVERS[driver].entered

    async def follow(client: Any, more: int) -> list[Any]:
        await get(client.cursors.events.delete_many({}))
        found: list[Any] = []
        async with entered(client.cursors.events.watch(max_await_time_ms=20)) as stream:
            await get(client.cursors.events.insert_one({"_id": 1}))
            while not found:
                event = await get(stream.try_next())
                found += [] if event is None else [event["documentKey"]]
            found += [await get(stream.try_next()) for _ in range(more)]
        return found

    with testing.record(tmp_path):
        assert run(DRIVERS[driver], lambda client: follow(client, 0), mongo_uri) == [{"_id": 1}]
    with testing.replay(tmp_path) as replay:
        assert run(DRIVERS[driver], lambda client: follow(client, 3), ELSEWHERE) == [{"_id": 1}, None, None, None]
    assert replay.outcome().misses == []


def test_cursor_read_further_than_recorded_is_a_miss(mongo_uri: str, tmp_path: Path, driver: str) -> None:
    """Batches that nobody fetched in the recording are missed, and not taken for the end."""
    get, items = DRIVERS[driver].get, DRIVERS[driver].items

    async def read(client: Any, limit: int) -> list[Any]:
        cursor = client.cursors.many.find({}, batch_size=3)
        found = await items(cursor, limit)
        await get(cursor.close())
        return found

    with DRIVERS["sync"].client(mongo_uri) as client:
        client.cursors.many.drop()
        client.cursors.many.insert_many([{"_id": n} for n in range(12)])
    with testing.record(tmp_path):
        recorded = run(DRIVERS[driver], lambda client: read(client, 5), mongo_uri)
    with testing.replay(tmp_path) as replay:
        assert run(DRIVERS[driver], lambda client: read(client, 5), ELSEWHERE) == recorded
        with pytest.raises(ReplayMiss, match="getMore many"):
            run(DRIVERS[driver], lambda client: read(client, 12), ELSEWHERE)
    assert ["did not read this cursor so far" in miss["message"] for miss in replay.outcome().misses] == [True]


def test_a_killed_cursor_is_refused_as_it_was(mongo_uri: str, tmp_path: Path, driver: str) -> None:
    """An app that kills a cursor by its id and reads on is told that there is none, as by the server."""
    get, items = DRIVERS[driver].get, DRIVERS[driver].items

    async def read(client: Any) -> list[Any]:
        events = client.cursors.killed
        cursor = events.find({}, batch_size=2)
        found = await items(cursor, 2)
        await get(client.cursors.command("killCursors", "killed", cursors=[cursor.cursor_id]))
        with pytest.raises(CursorNotFound) as refused:
            await items(cursor)
        return [found, refused.value.code, await get(events.count_documents({}))]

    with DRIVERS["sync"].client(mongo_uri) as client:
        client.cursors.killed.drop()
        client.cursors.killed.insert_many([{"_id": n} for n in range(6)])
    with testing.record(tmp_path):
        recorded = run(DRIVERS[driver], read, mongo_uri)
    with testing.replay(tmp_path) as replay:
        assert run(DRIVERS[driver], read, ELSEWHERE) == recorded
    assert (replay.outcome().misses, replay.outcome().unused) == ([], [])
