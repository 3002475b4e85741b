"""A replay shows the servers that the recorded driver knew: members of a replica set, their roles, and who was down."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.monitoring import ServerHeartbeatListener

from tests.pymongo.driver import DRIVERS
from tests.pymongo.harness import run
from tests.pymongo.proxy import Proxy
from timetracer_otel import testing

ROLES = {
    "primary": {"isWritablePrimary": True, "ismaster": True, "secondary": False},
    "secondary": {"isWritablePrimary": False, "ismaster": False, "secondary": True},
    "arbiter": {"isWritablePrimary": False, "ismaster": False, "secondary": False, "arbiterOnly": True},
}


@dataclass(frozen=True)
class ReplicaSet:
    """Proxies before one server, which call themselves members of a set, and one member that nobody reaches."""

    primary: str
    secondary: str
    arbiter: str
    stack: ExitStack


@pytest.fixture
def replica_set(mongo_uri: str) -> Iterator[ReplicaSet]:
    """A set that is up, but for one member."""
    with ExitStack() as stack:
        members = {role: stack.enter_context(Proxy(mongo_uri)) for role in ROLES}
        addresses = {role: proxy.address for role, proxy in members.items()}
        for role, proxy in members.items():
            proxy.hello |= {
                "setName": "shop", "setVersion": 3, "me": proxy.address, "primary": addresses["primary"],
                "hosts": [addresses["primary"], addresses["secondary"], "127.0.0.1:9"],
                "arbiters": [addresses["arbiter"]], **ROLES[role],
            }  # fmt: skip
        yield ReplicaSet(**addresses, stack=stack)


def recorded_alike(once: Callable[[], Any], folder: Path, between: Callable[[], object] = lambda: None) -> Any:
    """Record what is given once, replay it, and give it when both are equal and nothing was missed.

    Args:
        once: runs the program.
        folder: for its cassettes.
        between: called before the replay, such as to end the servers.
    """
    with testing.record(folder):
        recorded = once()
    between()
    with testing.replay(folder) as replay:
        replayed = once()
    assert replay.outcome().misses == []
    assert replayed == recorded
    return recorded


async def topology(client: Any, driver: str, *, nodes: int) -> dict[str, Any]:
    """What an app can ask of the servers, once the driver has found so many of them."""
    get = DRIVERS[driver].get
    await get(client.shop.orders.find_one({}))
    until = time.monotonic() + 10
    while len(client.nodes) < nodes and time.monotonic() < until:
        await asyncio.sleep(0.05) if driver == "async" else time.sleep(0.05)  # noqa: ASYNC251 - nothing else runs there
    await get(client.shop.orders.count_documents({}))
    description = client.topology_description
    return {
        "nodes": client.nodes,
        "address": await get(client.address),
        "primary": await get(client.primary),
        "secondaries": await get(client.secondaries),
        "arbiters": await get(client.arbiters),
        "is_primary": await get(client.is_primary),
        "is_mongos": await get(client.is_mongos),
        "set": description.replica_set_name,
        "type": description.topology_type_name,
        "servers": {address: server.server_type_name for address, server in description.server_descriptions().items()},
    }


@pytest.mark.parametrize("driver", ["sync", "async"])
@pytest.mark.parametrize("seed", ["primary", "secondary"])
def test_a_replica_set(driver: str, seed: str, replica_set: ReplicaSet, tmp_path: Path) -> None:
    """Its members with their roles, found from any seed, and the one that was down, which stays unknown."""
    uri = f"mongodb://{getattr(replica_set, seed)}/?replicaSet=shop&heartbeatFrequencyMS=500"

    def once() -> Any:
        return run(DRIVERS[driver], lambda client: topology(client, driver, nodes=3), uri)

    recorded = recorded_alike(once, tmp_path, between=replica_set.stack.close)
    assert recorded["set"] == "shop"
    assert len(recorded["nodes"]) == 3
    assert recorded["servers"]["127.0.0.1", 9] == "Unknown"
    assert len(recorded["secondaries"]) == len(recorded["arbiters"]) == 1


@pytest.mark.parametrize("options", ["", "?directConnection=true"])
def test_a_server_alone(options: str, mongo_uri: str, tmp_path: Path) -> None:
    """What was one server is one server, however it was connected to, and calls itself what it did."""

    def once() -> Any:
        where = mongo_uri.rstrip("/") + "/" + options
        return run(DRIVERS["sync"], lambda client: topology(client, "sync", nodes=1), where)

    recorded = recorded_alike(once, tmp_path)
    assert len(recorded["nodes"]) == 1


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_a_set_is_found_by_a_name_that_no_member_has(driver: str, mongo_uri: str, tmp_path: Path) -> None:
    """As by the name of a service: the members are those that were found, and what asks is answered by one of them."""
    uri = mongo_uri.replace("127.0.0.1", "localhost")

    def once() -> Any:
        return run(DRIVERS[driver], lambda client: topology(client, driver, nodes=1), uri)

    recorded = recorded_alike(once, tmp_path)
    assert recorded["address"][0] == "127.0.0.1"


class _Heartbeats(ServerHeartbeatListener):
    """Tells when the driver has looked at a server."""

    def __init__(self) -> None:
        self.looked = threading.Event()

    def started(self, event: Any) -> None:
        """Nothing is known yet."""

    def succeeded(self, event: Any) -> None:
        """The server has greeted."""
        self.looked.set()

    def failed(self, event: Any) -> None:
        """Nobody was asked: between two replays there is no server."""


def _client(uri: str, *listeners: _Heartbeats) -> pymongo.MongoClient[dict[str, Any]]:
    return pymongo.MongoClient(uri, heartbeatFrequencyMS=500, event_listeners=listeners)


@pytest.mark.parametrize("seed", ["127.0.0.1", "localhost"])
def test_a_client_that_has_met_its_set_live_is_answered_in_a_replay(seed: str, mongo_uri: str, tmp_path: Path) -> None:
    """As in a suite of which some tests are recorded: a primary of an older election would be none to the driver."""
    uri = mongo_uri.replace("127.0.0.1", seed)
    listener = _Heartbeats()
    with closing(_client(uri, listener)) as client:
        with testing.timetracer_record(tmp_path / "found.jsonl"):
            client.shop.orders.find_one({})
        for _ in range(2):
            with testing.timetracer_replay(tmp_path / "found.jsonl", strict=True):
                for _ in range(2):
                    listener.looked.clear()
                    assert listener.looked.wait(60)
                client.shop.orders.find_one({})
            client.shop.orders.find_one({})


@pytest.mark.parametrize("seed", ["gone.invalid", "localhost"])
def test_a_client_outlives_the_replay_that_it_began_in(seed: str, mongo_uri: str, tmp_path: Path) -> None:
    """As in a suite of tests: it looks at its server while another cassette is replayed, which knows nothing of it."""
    with Proxy(mongo_uri) as proxy:
        proxy.hello |= {"me": proxy.address, "primary": proxy.address, "hosts": [proxy.address]}
        uri = f"mongodb://{proxy.address}".replace("127.0.0.1", "localhost")
        with testing.timetracer_record(tmp_path / "found.jsonl"), closing(_client(uri)) as recorded:
            recorded.shop.orders.find_one({})
    with testing.timetracer_record(tmp_path / "silent.jsonl"):
        uuid.uuid4()
    listener = _Heartbeats()
    with closing(_client(uri.replace("localhost", seed), listener)) as client:
        for _ in range(2):
            with testing.timetracer_replay(tmp_path / "found.jsonl", strict=True):
                client.shop.orders.find_one({})
            with testing.timetracer_replay(tmp_path / "silent.jsonl"):
                for _ in range(2):
                    listener.looked.clear()
                    assert listener.looked.wait(60)
