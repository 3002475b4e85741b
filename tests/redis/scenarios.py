"""What programs do with redis-py. Each takes a client, and gives everything that it saw."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry


def seen(do: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What a call gives, or how it fails."""
    try:
        return do(*args, **options)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was seen
        return type(error), str(error)


def values(client: Any) -> list[Any]:
    """Commands of every type of value, and errors."""
    return [
        seen(client.set, "text", "grüße"),
        seen(client.get, "text"),
        seen(client.get, "nothing"),
        seen(client.set, "binary", os.urandom(300)),
        seen(client.execute_command, "GET", "binary", NEVER_DECODE=True),
        seen(client.incr, "counter"),
        seen(client.incrbyfloat, "float", 1.5),
        seen(client.lpush, "list", 1, 2, 3),
        seen(client.lrange, "list", 0, -1),
        seen(client.hset, "hash", mapping={"a": 1, "b": "2"}),
        seen(client.hgetall, "hash"),
        seen(client.sadd, "set", "x", "y"),
        seen(client.smembers, "set"),
        seen(client.zadd, "sorted", {"one": 1, "two": 2.5}),
        seen(client.zrange, "sorted", 0, -1, withscores=True),
        seen(client.mget, ["text", "nothing", "counter"]),
        seen(client.expireat, "text", int(time.time()) + 100),
        seen(client.exists, "text", "nothing"),
        seen(client.lpush, "text", 1),
        seen(client.execute_command, "NO-SUCH-COMMAND"),
        seen(client.xadd, "stream", {"field": "value"}),
        seen(client.xrange, "stream"),
        seen(lambda: sorted(client.scan_iter("*t*"))),
        seen(client.blpop, "nothing", 0.01),
        seen(client.ping),
        seen(client.time),
        seen(client.set, "large", "x" * 300_000),
        seen(client.getdel, "large"),
    ]


def together(client: Any) -> list[Any]:
    """Pipelines, transactions, a conflict of a watched key, scripts, a lock."""
    found: list[Any] = []
    with client.pipeline() as pipe:
        found.append(seen(pipe.set("a", uuid.uuid4().hex).incr("n").get("a").execute))
        found.append(seen(pipe.set("a", 1).lpush("a", 1).execute))
    with client.pipeline(transaction=False) as pipe:
        found.append(seen(pipe.get("n").get("nothing").execute))
    with client.pipeline() as pipe:
        pipe.watch("n")
        found.append(pipe.get("n"))
        client.set("n", "another")
        pipe.multi()
        pipe.set("n", 1)
        found.append(seen(pipe.execute))
    script = client.register_script("return {KEYS[1], ARGV[1], 1}")
    found += [seen(script, keys=["a"], args=["b"]), seen(client.evalsha, "0" * 40, 0)]
    with client.lock("lock", timeout=5):
        found.append(client.get("lock"))
    return [*found, client.exists("lock")]


def listening(client: Any) -> list[Any]:
    """Two subscriptions and a pattern on one connection."""
    found: list[Any] = []
    with client.pubsub() as heard:
        heard.subscribe("news", "sport")
        heard.psubscribe("w*")
        found += [heard.get_message(timeout=10) for _ in range(3)]
        told = [client.publish(channel, f"{channel} {uuid.uuid4()}") for channel in ("news", "weather", "sport")]
        found += [told, *(heard.get_message(timeout=10) for _ in range(3)), heard.get_message(timeout=0)]
        heard.unsubscribe("news")
        found.append(heard.get_message(timeout=10))
    return found


def threads(client: Any) -> list[Any]:
    """A thread that listens, told by several others."""
    found: list[Any] = []
    done = threading.Event()

    def take(message: Any) -> None:
        found.append(message["data"])
        if len(found) == 8:
            done.set()

    with client.pubsub() as heard:
        heard.subscribe(told=take)
        listener = heard.run_in_thread(sleep_time=0.01, daemon=True)
        for number in range(8):
            client.publish("told", number)
        assert done.wait(60)
        listener.stop()
        listener.join()
    return found


def looking(client: Any) -> list[Any]:
    """A subscriber that looks in vain more than once, before and between what another thread says later."""
    found: list[Any] = []
    said, looked = threading.Event(), threading.Event()

    def say() -> None:
        for number in range(2):
            looked.wait(60)
            looked.clear()
            client.publish("news", number)
            said.set()

    teller = threading.Thread(target=say)
    with client.pubsub() as heard:
        heard.subscribe("news")
        found.append(heard.get_message(timeout=10))
        teller.start()
        for looks in (3, 1):
            found += [heard.get_message(timeout=0.02) for _ in range(looks)]
            looked.set()
            said.wait(60)
            said.clear()
            found.append(heard.get_message(timeout=10))
    teller.join()
    return found


def signing_in(client: Any) -> list[Any]:
    """What an app itself asks of its connection, accepted and refused by turns."""
    client.set_retry(Retry(NoBackoff(), 0))  # it would try a refused log-in again
    asked = [lambda: client.auth("wrong"), client.ping, lambda: client.auth("right", "ada"), client.ping]
    found = [seen(client.acl_setuser, "ada", enabled=True, passwords=["+right"], commands=["+@all"], keys=["*"])]
    found += [seen(one) for one in (*asked, lambda: client.select(99), *asked, lambda: client.select(2))]
    found += [seen(client.execute_command, "CLIENT NO-EVICT", word) for word in ("on", "maybe", "off")]
    return [*found, seen(client.config_set, "requirepass", "x"), *(seen(one) for one in asked)]


PLAIN = {one.__name__: one for one in (values, together, listening, threads, looking, signing_in)}


async def seen_later(awaited: Awaitable[Any]) -> Any:
    """What an awaitable gives, or how it fails."""
    try:
        return await awaited
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was seen
        return type(error), str(error)


async def of_asyncio(client: Any) -> list[Any]:
    """Commands, a pipeline, tasks at once, a subscription, a lock, a wait that is over."""
    found = [
        await seen_later(client.set("id", uuid.uuid4().hex)),
        await seen_later(client.get("id")),
        await seen_later(client.lpush("id", 1)),
        await seen_later(client.blpop("nothing", 0.01)),
        await seen_later(client.set("large", "x" * 300_000)),
        await seen_later(client.get("large")),
    ]
    async with client.pipeline() as pipe:
        found.append(await seen_later(pipe.set("a", 1).incr("a").get("a").execute()))
    found.append(await asyncio.gather(*(client.incr(f"counter {number}") for number in range(6))))
    async with client.pubsub() as heard:
        await heard.subscribe("news")
        found.append(await heard.get_message(timeout=10))
        found += [await client.publish("news", "one"), await heard.get_message(timeout=10)]
        found.append(await heard.get_message(timeout=0.01))
    async with client.lock("lock", timeout=5):
        found.append(await client.get("lock"))
    return [*found, await _looking(client)]


async def _looking(client: Any) -> list[Any]:
    """A subscriber that looks in vain."""
    found: list[Any] = []
    async with client.pubsub() as heard:
        await heard.subscribe("later")
        found += [await heard.get_message(timeout=10), await heard.get_message(timeout=0.02)]
        found += [await heard.get_message(timeout=0.02), await client.publish("later", 1)]
        found.append(await heard.get_message(timeout=10))
    return found


def run(scenario: Callable[[Any], Any], port: int, **options: Any) -> Any:
    """Run a plain scenario against a server on a port."""
    with redis.Redis(port=port, **options) as client:
        return scenario(client)


async def run_later(port: int, **options: Any) -> Any:
    """Run the one of asyncio."""
    async with redis.asyncio.Redis(port=port, **options) as client:
        return await of_asyncio(client)
