"""Asynchronous calls that the app gave up, and calls that waited for a connection."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import PyMongoError

from tests.pymongo.driver import DRIVERS
from tests.pymongo.harness import run, twice
from tests.pymongo.proxy import Proxy
from timetracer_otel import testing
from timetracer_otel.families.nowhere import recorded

DRIVER = DRIVERS["async"]  # Motor cannot cancel what runs in its threads: its replies arrive, and are recorded


async def given_up(client: Any) -> list[Any]:
    """Give a slow call up, then make a fast one."""
    said: list[Any] = []
    try:
        async with asyncio.timeout(0.2):
            said.append(await client.faults.slow.find_one({"_id": 1}))
    except TimeoutError:
        said.append("timed out")
    said.append(await client.faults.slow.count_documents({}))
    return said


def test_cancelled_call_is_cancelled_again(mongo_uri: str, tmp_path: Path) -> None:
    """A call that the app's own timeout cancelled does not end before that timeout in replay either."""
    with Proxy(mongo_uri, delay={"find": 1.0}) as proxy:
        found = twice(tmp_path, lambda uri: run(DRIVER, given_up, uri), proxy.uri)
    assert found.recorded == found.replayed == ["timed out", 0]
    assert found.outcome.misses == []


def test_call_that_is_no_longer_cancelled_is_a_miss(
    mongo_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the app gives up no more, nobody knows the reply: it is a miss, and no invention."""
    monkeypatch.setattr(recorded, "PATIENCE", 0.0)
    with Proxy(mongo_uri, delay={"find": 1.0}) as proxy, testing.record(tmp_path):
        run(DRIVER, given_up, proxy.uri)

    async def patient(client: Any) -> str:
        try:
            await client.faults.slow.find_one({"_id": 1})
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            return str(error)
        return "answered"

    with testing.replay(tmp_path) as replay:
        said = run(DRIVER, patient, proxy.uri)
    assert "cancelled this call" in said
    assert len(replay.outcome().misses) == 1


@pytest.mark.parametrize("driver", ["async", "motor"])
def test_wait_for_a_connection_that_timed_out_replays(mongo_uri: str, tmp_path: Path, driver: str) -> None:
    """A call that found every connection taken fails again, though nothing is taken in replay."""

    async def crowded(client: Any) -> list[str]:
        async def ask(after: float) -> str:
            await asyncio.sleep(after)
            try:
                return str(await client.faults.slow.find_one({"_id": after}))
            except PyMongoError as error:
                return type(error).__name__

        await client.admin.command("ping")
        return list(await asyncio.gather(ask(0.0), ask(0.1)))

    options = {"maxPoolSize": 1, "waitQueueTimeoutMS": 60}
    with Proxy(mongo_uri, delay={"find": 0.5}) as proxy:
        found = twice(tmp_path, lambda uri: run(DRIVERS[driver], crowded, uri, **options), proxy.uri)
    assert found.recorded == found.replayed == ["None", "WaitQueueTimeoutError"]
    assert found.outcome.misses == []
