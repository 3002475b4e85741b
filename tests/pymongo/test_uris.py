"""What was recorded with one URI replays with any other that the driver accepts, and nothing is looked up or opened."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from pymongo import MongoClient, monitoring
from pymongo.errors import PyMongoError

from tests.pymongo.driver import DRIVERS
from tests.pymongo.harness import both, requests, run
from tests.pymongo.proxy import Proxy
from tests.pymongo.shown import renamed, text
from timetracer_otel import ReplayMiss, testing

OP_COMPRESSED = 2012
URIS = {
    "srv": "mongodb+srv://u:p@cluster.example.net/?replicaSet=rs0&tls=true",
    "srv without options": "mongodb+srv://cluster.example.net/shop",
    "srv sharded": "mongodb+srv://u:p@cluster.example.net/?srvMaxHosts=2&srvServiceName=mongodb",
    "auth": "mongodb://u:p@db.example.net:27017/shop?authSource=admin&authMechanism=SCRAM-SHA-256",
    "x509": "mongodb://db.example.net/?authMechanism=MONGODB-X509&tls=true&tlsCertificateKeyFile=/nowhere/client.pem",
    "tls": "mongodb://db.example.net/?tls=true&tlsCAFile=/nowhere/ca.pem",
    "tls insecure": "mongodb://db.example.net/?tls=true&tlsInsecure=true",
    "direct": "mongodb://db.example.net/?directConnection=true",
    "load balanced": "mongodb://db.example.net/?loadBalanced=true",
    "unix socket": "mongodb://%2Fnowhere%2Fmongodb-27017.sock",
    "unix socket with auth": "mongodb://u:p@%2Fnowhere%2Fmongodb-27017.sock/admin",
    "secondary": "mongodb://a.example.net,b.example.net/?replicaSet=rs7&readPreference=secondary",
    "stale": "mongodb://a.example.net/?replicaSet=r&readPreference=secondary&maxStalenessSeconds=120",
    "several hosts": "mongodb://a.example.net:27018,b.example.net:27019,c.example.net/?replicaSet=other",
    "several hosts without a set": "mongodb://a.example.net,b.example.net",
    "ipv6": "mongodb://[2001:db8::1]:27017/",
    "compressed": "mongodb://db.example.net/?compressors=zlib,zstd,snappy",
    "options": "mongodb://db.example.net/?retryWrites=false&retryReads=false&w=majority&maxPoolSize=3&appName=x&serverMonitoringMode=stream",
    "stable": "mongodb://db.example.net/?serverMonitoringMode=poll&heartbeatFrequencyMS=500&readConcernLevel=majority",
}


async def shop(client: Any, driver: str) -> str:
    """Use a few operations of each kind: read, write, cursor, transaction."""
    get, items = DRIVERS[driver].get, DRIVERS[driver].items
    db = client.shop
    await get(db.orders.delete_many({}))
    await get(db.orders.insert_many([{"_id": n} for n in range(25)]))
    made = await get(db.orders.insert_one({"name": "new"}))
    async with (
        DRIVERS[driver].entered(client.start_session()) as session,
        DRIVERS[driver].entered(session.start_transaction()),
    ):
        await get(db.orders.update_one({"_id": 3}, {"$set": {"paid": True}}, session=session))
    found = await items(db.orders.find({}, batch_size=10).sort("_id", 1))
    return text(
        [found, await get(db.orders.find_one({"_id": made.inserted_id})), await get(db.orders.count_documents({}))]
    )


@pytest.fixture(scope="module")
def cassettes(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """The shop, recorded once with each driver: where, and what it said."""
    found = {}
    for name, driver in DRIVERS.items():
        folder = tmp_path_factory.mktemp(name)
        with testing.record(folder):
            found[name] = (folder, run(driver, partial(shop, driver=name), mongo_uri))
    return found


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("uri", URIS)
def test_any_uri_replays(cassettes: dict[str, tuple[Path, str]], driver: str, uri: str) -> None:
    """No address is resolved, no file read, and every answer is the recorded one."""
    folder, recorded = cassettes[driver]
    with testing.replay(folder) as replay:
        replayed = run(DRIVERS[driver], lambda client: shop(client, driver), URIS[uri])
    assert renamed(replayed) == renamed(recorded)
    outcome = replay.outcome()
    assert (outcome.misses, outcome.refused) == ([], [])


@pytest.mark.parametrize("driver", DRIVERS)
def test_tagged_secondary_replays(mongo_uri: str, tmp_path: Path, driver: str) -> None:
    """A read preference with tags finds a server in replay, whatever tags the recorded servers had."""

    async def read(client: Any) -> Any:
        return await DRIVERS[driver].get(client.t.x.find_one())

    with testing.record(tmp_path):
        run(DRIVERS[driver], read, mongo_uri)
    tagged = "mongodb://a.example.net/?replicaSet=r&readPreference=secondary&readPreferenceTags=dc:east,use:reports"
    with testing.replay(tmp_path) as replay:
        assert run(DRIVERS[driver], read, tagged, serverSelectionTimeoutMS=2000) is None
    assert replay.outcome().misses == []


@pytest.mark.parametrize("compressor", ["zlib", "zstd", "snappy"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_compressed_traffic_replays(mongo_uri: str, tmp_path: Path, driver: str, compressor: str) -> None:
    """What travels compressed is recorded whole, and replays without compression."""
    with Proxy(mongo_uri, compressor=compressor) as proxy:
        found = both(tmp_path, DRIVERS[driver], lambda client: shop(client, driver), proxy.uri, compressors=compressor)
    assert renamed(found.replayed) == renamed(found.recorded)
    assert found.outcome.misses == []
    assert OP_COMPRESSED in {int.from_bytes(request[12:16], "little") for request in requests(tmp_path)}


def test_replay_needs_no_recorded_server(tmp_path: Path) -> None:
    """A cassette that says nothing of its server still lets a client connect; a command is then a miss."""

    async def ask(client: Any) -> list[str]:
        said = []
        for _ in range(2):
            try:
                client.t.x.find_one()
            except (PyMongoError, ReplayMiss) as error:
                said.append(type(error).__name__)
        return said

    options = {"serverSelectionTimeoutMS": 50}
    with testing.record(tmp_path):
        run(DRIVERS["sync"], refused_once, "mongodb://127.0.0.1:1/", **options)
    with testing.replay(tmp_path):
        said = run(DRIVERS["sync"], ask, URIS["tls"], **options)
    assert said == ["ServerSelectionTimeoutError", "ReplayMiss"]


async def refused_once(client: Any) -> None:
    """Meet no server."""
    with pytest.raises(PyMongoError):
        client.t.x.find_one()


class Opened(monitoring.TopologyListener):
    """Counts the topologies that a client makes."""

    def __init__(self) -> None:
        self.count = 0

    def opened(self, event: monitoring.TopologyOpenedEvent) -> None:
        """Count one."""
        self.count += 1

    def description_changed(self, event: monitoring.TopologyDescriptionChangedEvent) -> None:
        """Nothing."""

    def closed(self, event: monitoring.TopologyClosedEvent) -> None:
        """Nothing."""


def test_first_threads_of_a_lazy_client_share_one_topology(mongo_uri: str, tmp_path: Path) -> None:
    """Thirty threads that use a client at once, before any has looked its URI up, all find the same server."""
    threads, interval = 30, sys.getswitchinterval()
    barrier, opened = Barrier(threads), Opened()
    with testing.record(tmp_path), DRIVERS["sync"].client(mongo_uri) as client:
        client.shop.orders.find_one({})

    def ask(client: Any) -> None:
        barrier.wait()
        client.shop.orders.find_one({})

    with (
        testing.replay(tmp_path) as replay,
        MongoClient[dict[str, Any]](URIS["srv"], connect=False, event_listeners=[opened]) as client,
        ThreadPoolExecutor(threads) as pool,
    ):
        sys.setswitchinterval(1e-6)
        try:
            list(pool.map(ask, [client] * threads))
        finally:
            sys.setswitchinterval(interval)
    assert opened.count == 1
    assert replay.outcome().misses == []
