"""Several servers: a cluster whose slots move, a master that fails over; and a client that keeps replies."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.retry
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.cache import CacheConfig
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import CacheProxyConnection
from redis.sentinel import Sentinel

from examples.support import free_port
from tests.redis.conftest import serving
from tests.support.recordings import assert_nothing_changes
from timetracer_otel import testing

pytestmark = pytest.mark.system  # redis-server is no Python package

NOWHERE = 1


def told(port: int, *words: object) -> str:
    """What a server says to a command that is no part of the program."""
    command = ["redis-cli", "-p", str(port), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait, as long as a loaded machine may need."""
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[int, int]]:
    """Two servers, each with half of the slots."""
    buses = free_port(), free_port()  # of their own accord they take others, of which there may be none
    folders = [folder / "one", folder / "two"]
    for path in folders:
        path.mkdir()
    with ExitStack() as running:
        one, two = (
            running.enter_context(serving(path, "--cluster-enabled", "yes", "--cluster-port", str(bus)))
            for path, bus in zip(folders, buses, strict=True)
        )
        told(one, "cluster", "addslotsrange", 0, 8191)
        told(two, "cluster", "addslotsrange", 8192, 16383)
        told(one, "cluster", "meet", "127.0.0.1", two, buses[1])
        for port in (one, two):
            wait_until(partial(_is_whole, port))
        yield one, two


def _is_whole(port: int) -> bool:
    is_well = "cluster_state:ok" in told(port, "cluster", "info")
    return is_well and told(port, "cluster", "slots").count("127.0.0.1") == 2


def on_a_cluster(port: int, move: Callable[[int, str], None], moved: Callable[[], None]) -> list[Any]:
    """Commands to both servers, together and alone; a key on its way and when it has gone."""
    nodes: Any = ClusterNode
    client: Any = RedisCluster(startup_nodes=[nodes("127.0.0.1", port)], decode_responses=True)
    found: list[Any] = [client.set(f"k{number}", number) for number in range(10)]
    with client.pipeline() as pipe:
        for number in range(6):
            pipe.incr(f"k{number}")
        found.append(pipe.execute())
    found += [client.mget_nonatomic([f"k{number}" for number in range(6)]), client.set("key", "x")]
    move(client.keyslot("key"), "key")
    found.append(client.get("key"))
    moved()
    return [*found, client.get("key"), client.get("key"), client.dbsize()]


def test_a_cluster_whose_slots_move(tmp_path: Path) -> None:
    """The driver is sent to the other server, for once and for good."""
    with cluster(tmp_path) as ports, testing.record(tmp_path / "cassettes"):
        ids = {port: told(port, "cluster", "myid") for port in ports}
        finish: list[tuple[int, int, int]] = []

        def move(slot: int, key: str) -> None:
            source, target = ports if slot < 8192 else reversed(ports)
            told(target, "cluster", "setslot", slot, "importing", ids[source])
            told(source, "cluster", "setslot", slot, "migrating", ids[target])
            told(source, "migrate", "127.0.0.1", target, key, 0, 5000)
            finish.append((slot, source, target))

        def moved() -> None:
            ((slot, source, target),) = finish
            for port in (target, source):
                told(port, "cluster", "setslot", slot, "node", ids[target])

        recorded = on_a_cluster(ports[0], move, moved)
    with testing.replay(tmp_path / "cassettes") as replay:
        assert on_a_cluster(NOWHERE, lambda _slot, _key: None, lambda: None) == recorded
    assert (replay.outcome().misses, replay.outcome().unused) == ([], [])


@contextmanager
def sentinel(folder: Path, master: int) -> Iterator[int]:
    """A sentinel of one master."""
    port = free_port()
    settings = f"port {port}\nsentinel monitor shop 127.0.0.1 {master} 1\ndir {folder}\n"
    (folder / "sentinel.conf").write_text(settings + "sentinel failover-timeout shop 5000\n")
    command = ["redis-server", str(folder / "sentinel.conf"), "--sentinel"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: _lists_replica(port))
            yield port
        finally:
            process.terminate()


def _lists_replica(port: int) -> bool:
    try:
        return "slave" in told(port, "sentinel", "replicas", "shop")
    except subprocess.CalledProcessError:
        return False


def on_sentinels(port: int, replicated: Callable[[], None], fail_over: Callable[[], None]) -> list[Any]:
    """Writes and reads before and after the master is another one."""
    sentinels: Any = Sentinel
    found = sentinels([("127.0.0.1", port)], socket_timeout=30)
    master, replica = found.master_for("shop", decode_responses=True), found.slave_for("shop", decode_responses=True)
    seen: list[Any] = [master.set("a", "1")]
    replicated()
    seen.append(replica.get("a"))
    fail_over()
    for value in "23":
        try:
            seen.append(master.set("a", value))
        except redis.RedisError as error:
            seen.append((type(error), str(error)))
    return [*seen, master.get("a")]


def test_a_master_that_fails_over(tmp_path: Path) -> None:
    """The driver finds the new one as it did, whichever errors it met."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with serving(folders[0]) as one, serving(folders[1], "--replicaof", "127.0.0.1", str(one)) as two:
        wait_until(lambda: "master_link_status:up" in told(two, "info", "replication"))
        with sentinel(tmp_path, one) as port, testing.record(tmp_path / "cassettes"):

            def fail_over() -> None:
                told(port, "sentinel", "failover", "shop")
                wait_until(lambda: told(port, "sentinel", "get-master-addr-by-name", "shop").endswith(str(two)))
                wait_until(lambda: "role:slave" in told(one, "info", "replication"))

            recorded = on_sentinels(port, lambda: wait_until(lambda: told(two, "get", "a") == "1"), fail_over)
    with testing.replay(tmp_path / "cassettes") as replay:
        assert on_sentinels(NOWHERE, lambda: None, lambda: None) == recorded
    assert (replay.outcome().misses, replay.outcome().unused) == ([], [])


def test_a_client_that_keeps_replies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It learns of each change when it did: before, it gives what it has, and asks nobody."""
    monkeypatch.setattr(CacheProxyConnection, "MIN_ALLOWED_VERSION", "7.0.0")  # it wants 7.4, but 7.0 can do it too

    def scenario(port: int, change: Callable[[str], object]) -> list[Any]:
        client: Any = redis.Redis(port=port, protocol=3, cache_config=CacheConfig(), decode_responses=True)
        found: list[Any] = [client.set("k", "old"), client.get("k"), client.get("k")]
        change("new")
        while found[-1] != "new":
            found.append(client.get("k"))
        with redis.Redis(port=port) as other:
            found += [client.get("k"), other.set("k", "newer")]
        while found[-1] != "newer":
            found.append(client.get("k"))
        found += [client.mget("k", "z"), client.mget("k", "z"), client.set("k", "own"), client.get("k")]
        client.close()
        return found

    with serving(tmp_path) as port, testing.record(tmp_path / "cassettes"):
        recorded = scenario(port, lambda value: told(port, "set", "k", value))
    with testing.replay(tmp_path / "cassettes") as replay:
        assert scenario(NOWHERE, lambda _value: None) == recorded
    assert (replay.outcome().misses, replay.outcome().unused) == ([], [])


def refused(ports: tuple[int, int]) -> Any:
    """Connect, ask nothing there, and fail to connect elsewhere."""
    with redis.Redis(port=ports[0], single_connection_client=True):
        try:
            redis.Redis(port=ports[1], single_connection_client=True, retry=redis.retry.Retry(NoBackoff(), 0))
        except redis.ConnectionError as error:
            return type(error)
    return None


async def refused_async(ports: tuple[int, int]) -> Any:
    """The same."""
    one, two = (redis.asyncio.Connection(port=port, retry=Retry(NoBackoff(), 0)) for port in ports)
    await one.connect()  # type: ignore[no-untyped-call]  # the driver's
    try:
        await two.connect()  # type: ignore[no-untyped-call]  # the driver's
    except redis.ConnectionError as error:
        return type(error)
    finally:
        await one.disconnect()
    return None


@pytest.mark.parametrize("program", [refused, lambda ports: asyncio.run(refused_async(ports))], ids=["plain", "async"])
def test_the_connection_fails_that_failed(program: Callable[[Any], Any], tmp_path: Path) -> None:
    """And not the one that was made before it and asked nothing."""
    with serving(tmp_path) as port, testing.record(tmp_path / "cassettes"):
        then = program((port, free_port()))
    assert then is redis.ConnectionError
    assert_nothing_changes(program, (NOWHERE, NOWHERE + 1), (then, tmp_path / "cassettes"))
