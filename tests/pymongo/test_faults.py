"""What went wrong in the recording goes wrong in the same way in replay, and so does what saved it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo import common
from pymongo.errors import PyMongoError

from tests.pymongo.driver import DRIVERS
from tests.pymongo.harness import ELSEWHERE, Both, calls, run, twice
from tests.pymongo.proxy import Proxy
from tests.pymongo.shown import renamed, text
from timetracer_otel import ReplayMiss, testing

pytestmark = pytest.mark.parametrize("driver", DRIVERS)


@pytest.fixture(autouse=True)
def quick_monitors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the driver look for a lost server again after 20 ms; it waits half a second otherwise."""
    monkeypatch.setattr(common, "MIN_HEARTBEAT_INTERVAL", 0.02)


def through(folder: Path, proxy: Proxy, driver: str, scenario: Any, **options: Any) -> Both:
    """Record a scenario through a proxy, replay it, and check that the replay sent the proxy nothing."""

    def once(uri: str) -> Any:
        seen = sum(proxy.seen.values())
        said = run(DRIVERS[driver], lambda client: tolerant(driver, scenario, client), uri, **options)
        sent.append(sum(proxy.seen.values()) - seen)
        return renamed(said)

    sent: list[int] = []
    found = twice(folder, once, proxy.uri, proxy.uri)
    assert sent[1] == 0
    assert [miss["message"] for miss in found.outcome.misses] == []
    return found


async def tolerant(driver: str, scenario: Any, client: Any) -> str:
    """Give what a scenario gives, or the driver's error that it raises."""
    try:
        return text(await scenario(DRIVERS[driver], client))
    except PyMongoError as error:
        return text(error)


async def read(driver: Any, client: Any) -> Any:
    """Read through a cursor of several batches."""
    await driver.get(client.faults.numbers.delete_many({}))
    await driver.get(client.faults.numbers.insert_many([{"_id": n} for n in range(30)]))
    return await driver.items(client.faults.numbers.find({}, batch_size=10))


async def write(driver: Any, client: Any) -> Any:
    """Write a document, and count."""
    await driver.get(client.faults.things.delete_many({}))
    await driver.get(client.faults.things.insert_one({"a": 1}))
    return await driver.get(client.faults.things.count_documents({}))


async def transact(driver: Any, client: Any) -> Any:
    """Commit a transaction."""
    things = client.faults.accounts
    await driver.get(things.delete_many({}))
    async with driver.entered(client.start_session()) as session, driver.entered(session.start_transaction()):
        await driver.get(things.insert_one({"_id": 1}, session=session))
    return await driver.get(things.find_one())


@pytest.mark.parametrize(
    ("scenario", "command", "times"),
    [(read, "find", 2), (write, "insert", 2), (transact, "commitTransaction", 2), (read, "getMore", 1)],
    ids=["read", "write", "commit", "getMore"],
)
def test_dropped_connection_replays(  # noqa: PLR0913, PLR0917 - what is varied
    mongo_uri: str, tmp_path: Path, driver: str, scenario: Any, command: str, times: int
) -> None:
    """A connection that the server drops fails again; what the driver retried then succeeds again."""
    # Before or after the server saw the command: the driver cannot tell.
    where = "drop_reply" if driver == "sync" else "drop"
    with Proxy(mongo_uri, **{where: [command]}) as proxy:  # type: ignore[arg-type] # either takes a list
        found = through(tmp_path, proxy, driver, scenario)
    assert found.replayed == found.recorded
    assert ("AutoReconnect" in found.recorded) is (times == 1)
    recorded = [name for name in calls(tmp_path) if name.endswith(f".{command}")]
    assert len(recorded) >= times


@pytest.mark.parametrize(("scenario", "command"), [(read, "find"), (write, "insert")], ids=["read", "write"])
def test_dropped_connection_without_retries_replays(
    mongo_uri: str, tmp_path: Path, driver: str, scenario: Any, command: str
) -> None:
    """Without retries the app gets the same exception as in the recording."""
    with Proxy(mongo_uri, drop=[command]) as proxy:
        found = through(tmp_path, proxy, driver, scenario, retryReads=False, retryWrites=False)
    assert "AutoReconnect" in found.recorded
    assert found.replayed == found.recorded


def test_socket_timeout_replays(mongo_uri: str, tmp_path: Path, driver: str) -> None:
    """A reply that came too late is again too late."""
    with Proxy(mongo_uri, delay={"find": 1.0}) as proxy:
        found = through(tmp_path, proxy, driver, read, socketTimeoutMS=150, retryReads=False)
    assert "NetworkTimeout" in found.recorded
    assert found.replayed == found.recorded


def test_client_side_deadline_replays(mongo_uri: str, tmp_path: Path, driver: str) -> None:
    """A deadline of the client that passed, passes again."""

    async def hasty(driver: Any, client: Any) -> Any:
        await driver.get(client.faults.numbers.count_documents({}))
        with pymongo.timeout(0.2):
            return await driver.get(client.faults.numbers.find_one({"_id": 1}))

    with Proxy(mongo_uri, delay={"find": 1.0}) as proxy:
        found = through(tmp_path, proxy, driver, hasty)
    assert "NetworkTimeout" in found.recorded
    assert found.replayed == found.recorded


def test_selection_timeout_replays(mongo_uri: str, tmp_path: Path, driver: str) -> None:
    """No server in the recording is no server in replay, for each call that met none."""

    async def twice_nothing(driver: Any, client: Any) -> Any:
        said = []
        for _ in range(2):
            try:
                await driver.get(client.faults.numbers.find_one())
            except PyMongoError as error:
                said.append(type(error).__name__)
        return said

    assert mongo_uri
    where = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=60"
    found = twice(
        tmp_path, lambda uri: run(DRIVERS[driver], lambda client: twice_nothing(DRIVERS[driver], client), uri), where
    )
    assert found.recorded == found.replayed == ["ServerSelectionTimeoutError"] * 2


def test_command_error_of_the_server_replays(mongo_uri: str, tmp_path: Path, driver: str) -> None:
    """A write concern that cannot be met is the same error with the same details."""

    async def concerned(driver: Any, client: Any) -> Any:
        things = client.faults.get_collection("things", write_concern=pymongo.WriteConcern(w=50, wtimeout=1))
        return await driver.get(things.insert_one({"_id": None}))

    with Proxy(mongo_uri) as proxy:
        found = through(tmp_path, proxy, driver, concerned)
    assert "Error" in found.recorded or "OperationFailure" in found.recorded
    assert found.replayed == found.recorded


def test_miss_is_no_error_of_the_driver(mongo_uri: str, tmp_path: Path, driver: str) -> None:
    """An app that catches the driver's errors does not swallow a miss; one that catches everything cannot hide it."""

    async def changed(client: Any) -> str:
        get = DRIVERS[driver].get
        try:
            await get(client.faults.nowhere.find_one({"changed": True}))
        except PyMongoError:
            return "swallowed"
        except Exception as error:  # noqa: BLE001 - that is what such apps do
            return f"{type(error).__name__}: {error}"
        return "answered"

    with testing.record(tmp_path):
        run(
            DRIVERS[driver],
            lambda client: DRIVERS[driver].get(client.faults.nowhere.find_one({"changed": False})),
            mongo_uri,
        )
    with testing.replay(tmp_path) as replay:
        said = run(DRIVERS[driver], changed, ELSEWHERE)
    assert said.startswith(ReplayMiss.__name__)
    assert "filter.changed: False recorded, True asked" in said
    assert [miss["message"] for miss in replay.outcome().misses] == [said.partition(": ")[2]]
