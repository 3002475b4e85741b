"""Jobs of a shop, over a Redis that holds the queue and the shop's own data. ``CHANGED`` makes the app another one."""

from __future__ import annotations

import asyncio
import os
import time
import urllib.request
import uuid
from datetime import timedelta
from typing import Any

from redis import Redis
from rq import Callback, Queue, Retry, get_current_job

CHANGED = os.environ.get("CHANGED", "")
redis = Redis(port=int(os.environ.get("REDIS_PORT", "1")))
queue = Queue("orders", connection=redis)


def _ask(path: str) -> str:
    with urllib.request.urlopen(os.environ["PEER"] + path, timeout=10) as reply:  # noqa: S310 - the test's own peer
        return str(reply.read().decode())


def add(one: int, other: int) -> int:
    """Give a sum."""
    return one + other + (100 if CHANGED == "result" else 0)


def fetch(order_id: int) -> str:
    """Ask a peer, and count it in Redis."""
    redis.incr(f"orders:{order_id}", 2 if CHANGED == "write" else 1)
    return _ask(f"/changed/{order_id}" if CHANGED == "call" else f"/orders/{order_id}")


def flaky(order_id: int) -> dict[str, Any]:
    """Fail once, then succeed with a token of its own."""
    if int(redis.incr(f"tries:{order_id}")) < 2 and CHANGED != "no retry":
        raise ValueError(order_id)
    return {"order": order_id, "token": str(uuid.uuid4())}


def again(order_id: int) -> Any:
    """Ask to be run again."""
    return Retry(max=1) if int(redis.incr(f"again:{order_id}")) < 2 else order_id


def failing(order_id: str) -> None:
    """Fail."""
    raise KeyError(order_id)


def parent(order_id: int) -> list[str]:
    """Ask for more jobs, and give their ids."""
    return [queue.enqueue(add, order_id, number).id for number in range(3 if CHANGED == "publish" else 2)]


async def waits(seconds: float) -> str:
    """Take a while, on a loop."""
    await asyncio.sleep(seconds)
    return "waited"


def slow() -> None:
    """Take longer than it may."""
    time.sleep(30)


def notes(step: str) -> dict[str, Any]:
    """Say how far it is by RQ's own means."""
    job = get_current_job()
    assert job is not None
    job.meta["step"] = step
    job.save_meta()  # type: ignore[no-untyped-call] # RQ's
    return dict(job.get_meta())


def told(_job: Any, connection: Any, result: Any) -> None:
    """Be called back."""
    connection.lpush("told", str(result))


def send() -> None:
    """Ask for one job of each kind."""
    first = queue.enqueue(add, 1, 2)
    queue.enqueue(fetch, order_id=9)
    queue.enqueue(flaky, order_id=12345, retry=Retry(max=2))
    queue.enqueue(again, 3)
    queue.enqueue(failing, "A-1")
    queue.enqueue(parent, 7)
    queue.enqueue(waits, 0.01)
    queue.enqueue(slow, job_timeout=1)
    queue.enqueue(notes, step="half")
    queue.enqueue(add, 5, 6, on_success=Callback(told), result_ttl=0)
    queue.enqueue(add, 8, other=9, depends_on=first)
    queue.enqueue_in(timedelta(seconds=1), add, 10, 11)
