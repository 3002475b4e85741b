"""What programs see by aiomcache is the same recorded, and replayed with the server gone: values and types."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiomcache
import pytest
import uvloop

from tests.memcached.conftest import serving
from tests.memcached.seeing import seen_later
from tests.support.same import identical
from timetracer_otel import ReplayMiss, testing

pytestmark = pytest.mark.system  # memcached is no Python package

NOWHERE = 1


async def values(port: int) -> list[Any]:
    """Commands of all kinds, errors, and tasks at once on a pool that is too small for them."""
    client = aiomcache.Client("127.0.0.1", port, pool_size=3)
    asked: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
        (client.set, (b"text", "grüße".encode())),
        (client.get, (b"text",)),
        (client.get, (b"nothing",)),
        (client.get, (b"nothing", b"default")),
        (client.set, (b"id", uuid.uuid4().hex.encode(), 60)),
        (client.get, (b"id",)),
        (client.set, (b"binary", os.urandom(300))),
        (client.get, (b"binary",)),
        (client.set, (b"empty", b"")),
        (client.get, (b"empty",)),
        (client.multi_get, (b"text", b"nothing", b"id")),
        (client.multi_get, (b"text", b"text")),
        (client.add, (b"text", b"x")),
        (client.replace, (b"nothing", b"x")),
        (client.append, (b"text", b"!")),
        (client.prepend, (b"text", b"!")),
        (client.set, (b"number", b"5")),
        (client.incr, (b"number", 3)),
        (client.decr, (b"number",)),
        (client.incr, (b"text",)),
        (client.incr, (b"nothing",)),
        (client.touch, (b"number", 100)),
        (client.delete, (b"text",)),
        (client.delete, (b"text",)),
        (client.set, (b"large", b"x" * 1_000_000)),
        (client.get, (b"large",)),
        (client.set, (b"larger", b"x" * 2_000_000)),
        (client.get, (b"number",)),
        (client.get, (b"key with blanks",)),
        (client.version, ()),
        (client.gets, (b"number",)),
    ]
    found = [await seen_later(do(*args)) for do, args in asked]
    _, token = await client.gets(b"number")
    assert token is not None
    found += [await client.cas(b"number", b"8", token), await client.cas(b"number", b"9", token)]
    found.append(sorted(await client.stats(b"settings"))[:3])
    for number in range(20):
        await client.set(f"counter{number}".encode(), b"0")
    found.append(await asyncio.gather(*(client.incr(f"counter{number}".encode()) for number in range(20))))
    await client.flush_all()
    found.append(await client.get(b"number"))
    await client.close()
    return found


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_the_same_is_seen(loop: Callable[[], Any], tmp_path: Path) -> None:
    """Another port: what is seen is what was seen; nothing is missed, and nothing left unused."""

    def scenario(port: int) -> Any:
        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(values(port))

    with serving() as port, testing.record(tmp_path):
        recorded = scenario(port)
    with testing.replay(tmp_path) as replay:
        replayed = scenario(NOWHERE)
    assert identical(replayed, recorded), f"{replayed}\nand not\n{recorded}"
    outcome = replay.outcome()
    assert (outcome.misses, outcome.unused) == ([], [])


async def test_a_client_that_was_there_before(memcached: int, tmp_path: Path) -> None:
    """Its open connections are recorded, and in a replay they are asked for nothing."""
    client = aiomcache.Client("127.0.0.1", memcached)
    await client.set(b"a", b"before")
    with testing.record(tmp_path):
        assert await client.get(b"a") == b"before"
    await client.set(b"a", b"changed")
    with testing.replay(tmp_path):
        assert await client.get(b"a") == b"before"
    assert await client.get(b"a") == b"changed"
    await client.close()


async def test_a_miss_is_seen(memcached: int, tmp_path: Path) -> None:
    """It is no error of the library."""
    with testing.record(tmp_path):
        client = aiomcache.Client("127.0.0.1", memcached)
        await client.get(b"a")
        await client.close()
    with testing.replay(tmp_path) as replay:
        client = aiomcache.Client("127.0.0.1", NOWHERE)
        with pytest.raises(ReplayMiss, match=r"memcached gets? b"):
            await client.get(b"b")
        assert await client.get(b"a") is None
    assert len(replay.outcome().misses) == 1
    assert not issubclass(ReplayMiss, aiomcache.ClientException)


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """The same exception with the same words."""
    words = []
    for mode in (testing.record, testing.replay):
        with mode(tmp_path):
            with pytest.raises(ConnectionRefusedError) as caught:
                await aiomcache.Client("127.0.0.1", NOWHERE).get(b"a")
            words.append(str(caught.value))
    assert words[0] == words[1]


async def test_an_app_that_waits_no_longer(tmp_path: Path) -> None:
    """It gives a call up, which a replay lets it do; the connection it goes back to is as silent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for mode, port in ((testing.record, listener.getsockname()[1]), (testing.replay, NOWHERE)):
            with mode(tmp_path):
                client = aiomcache.Client("127.0.0.1", port, pool_size=1)
                for key in (b"a", b"b"):
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(client.get(key), 0.1)
                await client.close()
