"""What programs see by python-memcached is the same recorded, and replayed with the server gone."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import Any

import memcache
import pytest

from tests.memcached.conftest import serving, serving_at
from tests.memcached.seeing import seen
from tests.support.same import identical
from timetracer_otel import ReplayMiss, testing

pytestmark = pytest.mark.system  # memcached is no Python package

NOWHERE = 1


def values(client: Any) -> list[Any]:
    """Commands of all kinds, and errors."""
    found = [
        seen(client.set, "text", "grüße"),
        seen(client.get, "text"),
        seen(client.get, "nothing"),
        seen(client.get, "nothing", "default"),
        seen(client.set, "object", {"id": uuid.uuid4(), "at": time.time(), "items": [1, 2.5, None]}, time=60),
        seen(client.get, "object"),
        seen(client.set, "number", 5),
        seen(client.get, "number"),
        seen(client.incr, "number", 3),
        seen(client.decr, "number"),
        seen(client.incr, "nothing"),
        seen(client.incr, "text"),
        seen(client.set, "binary", os.urandom(300)),
        seen(client.get, "binary"),
        seen(client.set, "flag", val=True),
        seen(client.get, "flag"),
        seen(client.set, "long", "tea " * 5000, min_compress_len=100),
        seen(client.get, "long"),
        seen(client.set, "quiet", "x", noreply=True),
        seen(client.get, "quiet"),
        seen(client.add, "text", "x"),
        seen(client.replace, "nothing", "x"),
        seen(client.append, "quiet", "y"),
        seen(client.prepend, "quiet", "y"),
        seen(client.set_multi, {"a": 1, "b": "2", "c": [3]}, key_prefix="all-"),
        seen(client.get_multi, ["a", "b", "c", "d"], key_prefix="all-"),
        seen(client.touch, "all-a", 100),
        seen(client.delete_multi, ["a", "b"], key_prefix="all-"),
        seen(client.delete, "all-c"),
        seen(client.delete, "all-c"),
        seen(client.set, "large", "x" * 900_000),
        seen(client.get, "large"),
        seen(client.set, "larger", "x" * 2_000_000),
        seen(client.set, "key with blanks", 1),
        seen(client.gets, "number"),
        seen(client.cas, "number", 7),
        seen(client.get, "number"),
        [sorted(one)[:3] for _, one in client.get_stats()],
        seen(client.flush_all),
        seen(client.get, "text"),
    ]
    client.disconnect_all()
    return [*found, seen(client.get, "text")]


def test_the_same_is_seen(tmp_path: Path) -> None:
    """Another port: what is seen is what was seen; nothing is missed, and nothing left unused."""
    with serving() as port, testing.record(tmp_path):
        recorded = values(memcache.Client([f"127.0.0.1:{port}"], cache_cas=True))
    with testing.replay(tmp_path) as replay:
        replayed = values(memcache.Client([f"127.0.0.1:{NOWHERE}"], cache_cas=True))
    assert identical(replayed, recorded), f"{replayed}\nand not\n{recorded}"
    outcome = replay.outcome()
    assert (outcome.misses, outcome.unused) == ([], [])


def test_several_servers_and_one_at_a_path(tmp_path: Path) -> None:
    """Each key goes to its server; names count for nothing."""

    def scenario(*servers: str) -> list[Any]:
        client = memcache.Client(servers)
        return [client.set_multi({f"k{n}": n for n in range(20)}), client.get_multi([f"k{n}" for n in range(20)])]

    with serving() as port, serving_at(tmp_path / "socket"), testing.record(tmp_path / "cassettes"):
        recorded = scenario(f"127.0.0.1:{port}", f"unix:{tmp_path / 'socket'}")
    with testing.replay(tmp_path / "cassettes"):
        assert scenario("127.0.0.1:1", "cache.example.net:2") == recorded


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """The library hides it, and asks nobody for a while; in a replay too, though one of the name is there now."""
    found = []
    with testing.record(tmp_path):
        client = memcache.Client([f"127.0.0.1:{NOWHERE}"], flush_on_reconnect=True)
        found.append([client.set("a", 1), client.get("a"), client.get_multi(["a"])])
    with serving() as port, testing.replay(tmp_path) as replay:
        client = memcache.Client([f"127.0.0.1:{port}"], flush_on_reconnect=True)
        found.append([client.set("a", 1), client.get("a"), client.get_multi(["a"])])
    assert found[0] == found[1] == [0, None, {}]
    assert not replay.outcome().misses


def test_a_server_that_comes_back(tmp_path: Path) -> None:
    """It is flushed first when the app wants that; that is a call as well."""

    def scenario(port: int) -> list[Any]:
        client = memcache.Client([f"127.0.0.1:{port}"], flush_on_reconnect=True, dead_retry=0)
        found = [client.set("a", 1), client.get("a")]
        client.servers[0].mark_dead("as the app wants")
        return [*found, client.get("a"), client.set("a", 2), client.get("a")]

    with serving() as port, testing.record(tmp_path):
        recorded = scenario(port)
    with testing.replay(tmp_path) as replay:
        assert scenario(NOWHERE) == recorded == [True, 1, None, True, 2]
    assert not replay.outcome().unused


def test_a_client_that_was_there_before(memcached: int, tmp_path: Path) -> None:
    """Its open connection is recorded, and in a replay it is asked for nothing."""
    client = memcache.Client([f"127.0.0.1:{memcached}"])
    client.set("a", "before")
    with testing.record(tmp_path):
        assert client.get("a") == "before"
    client.set("a", "changed")
    with testing.replay(tmp_path):
        assert client.get("a") == "before"
    assert client.get("a") == "changed"
    client.disconnect_all()


def test_a_miss_is_seen(memcached: int, tmp_path: Path) -> None:
    """It is no error that the library takes for a dead server."""
    with testing.record(tmp_path):
        memcache.Client([f"127.0.0.1:{memcached}"]).get("a")
    with testing.replay(tmp_path) as replay:
        client = memcache.Client(["127.0.0.1:1"])
        with pytest.raises(ReplayMiss, match="memcached get b"):
            client.get("b")
        assert client.get("a") is None
    assert len(replay.outcome().misses) == 1
