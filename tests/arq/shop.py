"""Jobs of a shop. ``CHANGED`` makes the app another one."""

from __future__ import annotations

import asyncio
import os
import urllib.request
import uuid
from typing import Any, ClassVar

from arq import Retry, create_pool, cron, func
from arq.connections import RedisSettings

CHANGED = os.environ.get("CHANGED", "")
SETTINGS = RedisSettings(port=int(os.environ.get("REDIS_PORT", "1")))
EXECUTIONS = 12
"""What :func:`send` comes to."""


def _ask(path: str) -> str:
    with urllib.request.urlopen(os.environ["PEER"] + path, timeout=10) as reply:  # noqa: S310 - the test's own peer
        return str(reply.read().decode())


async def add(_ctx: dict[str, Any], one: int, other: int) -> int:
    """Give a sum."""
    return one + other + (100 if CHANGED == "result" else 0)


async def fetch(ctx: dict[str, Any], order_id: int) -> str:
    """Ask a peer, and count it in Redis where a worker has it."""
    if "redis" in ctx:
        await ctx["redis"].incr(f"orders:{order_id}", 2 if CHANGED == "write" else 1)
    return _ask(f"/changed/{order_id}" if CHANGED == "call" else f"/orders/{order_id}")


async def flaky(ctx: dict[str, Any], order_id: int) -> dict[str, Any]:
    """Ask to be tried again, then succeed with a token of its own."""
    if ctx["job_try"] < 2 and CHANGED != "no retry":
        raise Retry(defer=0.2)
    return {"order": order_id, "token": str(uuid.uuid4())}


async def failing(_ctx: dict[str, Any], order_id: str) -> None:
    """Fail."""
    raise KeyError(order_id)


async def parent(ctx: dict[str, Any], order_id: int) -> list[str]:
    """Ask for more jobs, and give their ids."""
    count = 3 if CHANGED == "publish" else 2
    return [(await ctx["redis"].enqueue_job("add", order_id, number)).job_id for number in range(count)]


async def slow(_ctx: dict[str, Any]) -> None:
    """Take longer than it may."""
    await asyncio.sleep(30)


async def yearly(_ctx: dict[str, Any]) -> None:
    """Run once a year."""


async def started(ctx: dict[str, Any]) -> None:
    """Say that the worker is there."""
    await ctx["redis"].set("started", "yes")


async def job_started(ctx: dict[str, Any]) -> None:
    """Count jobs."""
    await ctx["redis"].incr("jobs")


class WorkerSettings:
    """What ``arq`` runs."""

    functions: ClassVar = [add, fetch, flaky, failing, parent, func(slow, timeout=1)]
    cron_jobs: ClassVar = [cron(yearly, month=1, day=1, hour=0, minute=0)]
    redis_settings = SETTINGS
    on_startup = started
    on_job_start = job_started
    poll_delay = 0.1
    max_tries = 3


async def send_all() -> None:
    """Ask for one job of each kind."""
    pool = await create_pool(SETTINGS)
    await pool.enqueue_job("add", 1, 2)
    await pool.enqueue_job("fetch", order_id=9)
    await pool.enqueue_job("flaky", 12345)
    await pool.enqueue_job("failing", "A-1")
    await pool.enqueue_job("parent", 7)
    await pool.enqueue_job("slow")
    await pool.enqueue_job("add", 3, other=4, _defer_by=0.5)
    await pool.enqueue_job("add", 5, 6, _job_id="once")
    assert await pool.enqueue_job("add", 5, 6, _job_id="once") is None
    await pool.enqueue_job("missing")


def send() -> None:
    """Ask for them."""
    asyncio.run(send_all())
