"""Actors of a shop, over the broker that ``BROKER`` names. ``CHANGED`` makes the app another one."""

from __future__ import annotations

import asyncio
import os
import time
import urllib.request
import uuid
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, CurrentMessage, GroupCallbacks, TimeLimit
from dramatiq.rate_limits.backends import RedisBackend as RateLimits
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from redis import Redis

CHANGED = os.environ.get("CHANGED", "")
redis = Redis(port=int(os.environ.get("REDIS_PORT", "1")))
broker: Any
if os.environ.get("BROKER", "redis") == "redis":
    broker = RedisBroker(client=redis)
else:
    broker = RabbitmqBroker(url=os.environ["BROKER"])
broker.add_middleware(Results(backend=RedisBackend(client=redis)))
broker.add_middleware(GroupCallbacks(RateLimits(client=redis)))
broker.add_middleware(CurrentMessage())
broker.add_middleware(AsyncIO())
broker.middleware = [one for one in broker.middleware if type(one) is not TimeLimit]
broker.add_middleware(TimeLimit(interval=100))
dramatiq.set_broker(broker)
EXECUTIONS = 16
"""What :func:`send` comes to."""


def _ask(path: str) -> str:
    with urllib.request.urlopen(os.environ["PEER"] + path, timeout=10) as reply:  # noqa: S310 - the test's own peer
        return str(reply.read().decode())


@dramatiq.actor(store_results=True)
def add(one: int, other: int) -> int:
    """Give a sum."""
    return one + other + (100 if CHANGED == "result" else 0)


@dramatiq.actor(store_results=True)
def fetch(order_id: int) -> str:
    """Ask a peer, and count it in Redis."""
    redis.incr(f"orders:{order_id}", 2 if CHANGED == "write" else 1)
    return _ask(f"/changed/{order_id}" if CHANGED == "call" else f"/orders/{order_id}")


@dramatiq.actor(max_retries=2, min_backoff=100, store_results=True)
def flaky(order_id: int) -> dict[str, Any]:
    """Fail once, then succeed with a token of its own."""
    if int(redis.incr(f"tries:{order_id}")) < 2 and CHANGED != "no retry":
        raise ValueError(order_id)
    return {"order": order_id, "token": str(uuid.uuid4())}


@dramatiq.actor(max_retries=0)
def failing(order_id: str) -> None:
    """Fail."""
    raise KeyError(order_id)


@dramatiq.actor(store_results=True)
def parent(order_id: int) -> list[str]:
    """Ask for more work, and give its ids."""
    return [add.send(order_id, number).message_id for number in range(3 if CHANGED == "publish" else 2)]


@dramatiq.actor(store_results=True)
async def waits(seconds: float) -> str:
    """Take a while, on a loop, and ask Redis there."""
    await asyncio.sleep(seconds)
    redis.set("waited", "yes")
    return "waited"


@dramatiq.actor(time_limit=500, max_retries=0)
def slow() -> None:
    """Take longer than it may."""
    for _ in range(300):
        time.sleep(0.1)


@dramatiq.actor
def told(**_data: Any) -> None:
    """Be told of the end of others."""


def send() -> None:
    """Ask for one of each kind."""
    add.send(1, 2)
    fetch.send(order_id=9)
    flaky.send(12345)
    failing.send("A-1")
    parent.send(7)
    waits.send(0.01)
    slow.send()
    add.send_with_options(args=(3, 4), delay=500)
    (add.message(1, 1) | add.message(5)).run()  # type: ignore[call-arg] # the other comes from the one before
    group = dramatiq.group([add.message(1, 10), add.message(2, 20)])
    group.add_completion_callback(told.message())
    group.run()
