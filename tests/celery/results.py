"""A client that waits for the results of its tasks, which come as messages. ``CHANGED`` makes it another one."""

from __future__ import annotations

import os
import sys

from celery import Celery, group

app = Celery("results", broker=os.environ["BROKER_URL"], backend="rpc://")
app.conf.task_track_started = True  # a message more before each result
app.conf.worker_hijack_root_logger = False


@app.task
def add(one: int, other: int) -> int:
    """Give a sum."""
    return one + other


@app.task
def failing(number: int) -> None:
    """Fail."""
    raise KeyError(number)


def main() -> None:
    """Ask one by one, for a failure, and for some at once."""
    by = 2 if "CHANGED" in os.environ else 1
    said = [add.delay(1, by).get(timeout=30)]
    try:
        failing.delay(7).get(timeout=30)
    except KeyError as error:
        said.append(repr(error))
    said.extend(group(add.s(number, number) for number in range(3))().get(timeout=30))
    sys.stdout.write(f"{said}\n")


if __name__ == "__main__":
    main()
