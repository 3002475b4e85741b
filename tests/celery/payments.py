"""Tasks over RabbitMQ, of which some have their child killed."""

from __future__ import annotations

import os
import signal
import time

from celery import Celery

app = Celery("payments", broker=os.environ["BROKER_URL"], backend="cache+memory://")
app.conf.worker_hijack_root_logger = False


@app.task
def double(number: int) -> int:
    """Give twice a number."""
    return 2 * number * (5 if "CHANGED" in os.environ else 1)


@app.task
def killed(order_id: int) -> None:
    """Ask for another task, then end as if the machine had no memory left."""
    double.delay(number=order_id)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(time_limit=1)
def endless(*, stubborn: bool) -> None:
    """Ask for another task, then take longer than it may; a stubborn one does not end when it is told to."""
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    double.delay(number=10)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    double.delay(number=1)
    killed.delay(order_id=7)
    endless.delay(stubborn=False)
    endless.delay(stubborn=True)
    double.delay(number=2)
