"""Commands that were not recorded, in a replay that lets such commands out, or the nearest answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from examples.support import MongoServer
from tests.pymongo.driver import DRIVERS
from tests.pymongo.harness import run
from timetracer_otel import ReplayMiss, testing

pytestmark = pytest.mark.parametrize("driver", DRIVERS)


async def ask(driver: Any, client: Any, low: int) -> list[int]:
    """Read numbers in several batches."""
    found = await driver.items(client.going_out.numbers.find({"n": {"$gte": low}}, {"_id": 0}, batch_size=3).sort("n"))
    return [one["n"] for one in found]


async def fill(driver: Any, client: Any) -> list[int]:
    """Write numbers, and read some."""
    await driver.get(client.going_out.numbers.delete_many({}))
    await driver.get(client.going_out.numbers.insert_many([{"_id": n, "n": n} for n in range(10)]))
    return await ask(driver, client, 8)


async def ask_twice(driver: Any, client: Any) -> tuple[list[int], list[int]]:
    """Ask what was recorded, and what was not."""
    return await ask(driver, client, 8), await ask(driver, client, 2)


def test_only_what_was_not_recorded_goes_out(driver: str, tmp_path: Path, mongo_server: MongoServer) -> None:
    """The real server answers it, with all batches of its cursor; what was recorded is answered from there."""

    def client_does(scenario: Any) -> Any:
        return run(DRIVERS[driver], lambda client: scenario(DRIVERS[driver], client), mongo_server.uri)

    with testing.record(tmp_path):
        assert client_does(fill) == [8, 9]
    client_does(lambda own, client: own.get(client.going_out.numbers.delete_many({"n": {"$gt": 7}})))
    with testing.replay(tmp_path, on_miss="live") as replay:
        assert client_does(ask_twice) == ([8, 9], [2, 3, 4, 5, 6, 7])
    outcome = replay.outcome()
    assert (outcome.misses, outcome.refused) == ([], [])
    assert dict(outcome.out) == {"mongodb going_out find numbers": 1}


def test_the_nearest_command_of_that_collection_answers(driver: str, tmp_path: Path, mongo_server: MongoServer) -> None:
    """Another command, or another collection, is still a miss."""

    def client_does(scenario: Any) -> Any:
        return run(DRIVERS[driver], lambda client: scenario(DRIVERS[driver], client), mongo_server.uri)

    with testing.record(tmp_path):
        client_does(fill)
    with testing.replay(tmp_path, on_miss="nearest") as replay:
        assert client_does(ask_twice) == ([8, 9], [8, 9])
        with pytest.raises(ReplayMiss):
            client_does(lambda own, client: own.get(client.going_out.numbers.count_documents({})))
        with pytest.raises(ReplayMiss):
            client_does(lambda own, client: own.items(client.going_out.others.find({})))
    assert replay.outcome().answered["nearest again"] == 1
