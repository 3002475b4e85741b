"""Tasks of a shop, over a broker that is two folders. ``CHANGED`` makes the app another one."""

from __future__ import annotations

import os
import pickle
import urllib.request
import uuid
from typing import Any

from celery import Celery
from celery.exceptions import Ignore, Reject

BROKER = os.environ.get("BROKER", "nowhere")
CHANGED = os.environ.get("CHANGED", "")

app = Celery("orders", broker="filesystem://", backend="cache+memory://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": BROKER,
        "data_folder_out": BROKER,
        "control_folder": f"{BROKER}-control",
    },
    accept_content=["json", "pickle"],
    worker_hijack_root_logger=False,
)


def _ask(path: str) -> str:
    with urllib.request.urlopen(os.environ["PEER"] + path, timeout=10) as reply:  # noqa: S310 - the test's own peer
        return str(reply.read().decode())


@app.task
def add(one: int, other: int) -> int:
    """Give a sum."""
    return one + other + (100 if CHANGED == "result" else 0)


@app.task(bind=True, max_retries=2)
def flaky(self: Any, order_id: int) -> dict[str, Any]:
    """Fail once, then succeed with a token of its own."""
    if self.request.retries < 1 and CHANGED != "no retry":
        raise self.retry(exc=ValueError(f"order {order_id}"), countdown=0)
    return {"order": order_id, "token": str(uuid.uuid4())}


@app.task
def failing(order_id: str) -> None:
    """Fail."""
    raise KeyError(order_id)


@app.task
def parent(order_id: int) -> list[str]:
    """Ask for more tasks, and give their ids."""
    sums = [add.delay(order_id, number) for number in range(3 if CHANGED == "publish" else 2)]
    return [one.id for one in sums]


@app.task
def ignored() -> None:
    """Leave no result."""
    raise Ignore


@app.task(acks_late=True)
def rejected() -> None:
    """Refuse the message."""
    raise Reject("no", requeue=False)


@app.task
def fetch(order_id: int) -> str:
    """Ask a peer."""
    return _ask(f"/changed/{order_id}" if CHANGED == "call" else f"/orders/{order_id}")


@app.task(serializer="pickle")
def unpickled(raw: bytes, size: int) -> int:
    """Take what only pickle carries."""
    return len(pickle.dumps(raw)) + size


def send() -> int:
    """Ask for one task of each kind; give how many executions there will be."""
    from celery import chain  # noqa: PLC0415 - it draws in much, and a worker needs it not

    add.delay(1, 2)
    add.apply_async((3, 4), countdown=0.2, expires=20)
    flaky.delay(order_id=12345)
    failing.delay("A-1")
    parent.delay(order_id=7)
    ignored.delay()
    rejected.delay()
    fetch.delay(order_id=9)
    unpickled.delay(b"\0\xff", 3)
    chain(add.s(1, 1), add.s(5))()
    return 14


if __name__ == "__main__":
    send()
