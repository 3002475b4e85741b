"""Tasks over Redis, and their results there: what Celery itself asks of its backend, in the middle of tasks."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, chord, group

app = Celery("canvas", broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])
app.conf.worker_hijack_root_logger = False


@app.task
def add(one: int, other: int) -> int:
    """Give a sum."""
    return one + other


@app.task
def total(numbers: list[int]) -> int:
    """Give the sum of many."""
    return sum(numbers)


@app.task
def failing(number: int) -> None:
    """Fail."""
    raise KeyError(number)


@app.task
def told(_failed: str) -> str:
    """Be told of a failure."""
    return "told"


@app.task(bind=True)
def replaced(self: Any, number: int) -> None:
    """Have others do it: the first that this process asks of Redis is theirs."""
    raise self.replace(group(add.s(number, 1), add.s(number, 2 if "CHANGED" not in os.environ else 3)))


@app.task(bind=True, max_retries=1)
def asking(self: Any, number: int) -> str:
    """Ask for another one, at the second try."""
    if not self.request.retries:
        raise self.retry(countdown=0)
    return str(add.delay(number, 1).id)


def send() -> None:
    """Ask for tasks of each kind."""
    asking.delay(number=8)
    replaced.delay(4)
    chord([add.s(1, 1), failing.s(7)], total.s().on_error(told.s()))()
    add.apply_async((2, 3), compression="gzip")
    add.apply_async((2, 3), link=add.s(5))
