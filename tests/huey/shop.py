"""Tasks of a shop, on the storage that ``STORAGE`` names. ``CHANGED`` makes the app another one."""

from __future__ import annotations

import os
import urllib.request
import uuid
from typing import Any

from huey import RedisHuey, SqliteHuey, crontab
from huey.exceptions import RetryTask

CHANGED = os.environ.get("CHANGED", "")
huey: Any
if os.environ.get("STORAGE") == "redis":
    huey = RedisHuey("shop", port=int(os.environ["REDIS_PORT"]))
else:
    huey = SqliteHuey("shop", filename=os.environ.get("STORAGE_FILE", "/nonexistent/shop.db"))
EXECUTIONS = 14
"""What :func:`send` comes to."""


def _ask(path: str) -> str:
    with urllib.request.urlopen(os.environ["PEER"] + path, timeout=10) as reply:  # noqa: S310 - the test's own peer
        return str(reply.read().decode())


@huey.task()
def add(one: int, other: int) -> int:
    """Give a sum."""
    return one + other + (100 if CHANGED == "result" else 0)


@huey.task()
def fetch(order_id: int) -> str:
    """Ask a peer."""
    return _ask(f"/changed/{order_id}" if CHANGED == "call" else f"/orders/{order_id}")


@huey.task(retries=2, context=True)
def flaky(order_id: int, task: Any = None) -> dict[str, Any]:
    """Fail once, then succeed with a token of its own."""
    if task.retries > 1 and CHANGED != "no retry":
        raise ValueError(order_id)
    return {"order": order_id, "token": str(uuid.uuid4())}


@huey.task()
def again(order_id: int) -> int:
    """Ask to be run again, a little later."""
    if huey.get(f"again:{order_id}", peek=True) is None:
        huey.put(f"again:{order_id}", "once")
        raise RetryTask(delay=1)
    return order_id


@huey.task()
def failing(order_id: str) -> None:
    """Fail."""
    raise KeyError(order_id)


@huey.task()
def parent(order_id: int) -> list[str]:
    """Ask for more tasks, and give their ids."""
    return [add(order_id, number).id for number in range(3 if CHANGED == "publish" else 2)]


@huey.task()
def locked() -> str:
    """Hold a lock."""
    with huey.lock_task("other lock" if CHANGED == "write" else "lock"):
        return "held"


@huey.periodic_task(crontab(minute="0", hour="0", day="1", month="1"))
def yearly() -> None:
    """Run once a year."""


def send() -> None:
    """Ask for one task of each kind."""
    add(1, 2)
    fetch(order_id=9)
    flaky(12345)
    again(3)
    failing("A-1")
    parent(7)
    locked()
    huey.enqueue(add.s(1, 1).then(add, 5))
    add.schedule((3, 4), delay=1)
    revoked = add(70, 70)
    revoked.revoke()
