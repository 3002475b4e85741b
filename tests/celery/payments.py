"""Tasks over RabbitMQ, of which one has its child killed."""

from __future__ import annotations

import os
import signal

from celery import Celery

app = Celery("payments", broker=os.environ["BROKER_URL"], backend="cache+memory://")
app.conf.worker_hijack_root_logger = False


@app.task
def double(number: int) -> int:
    """Give twice a number."""
    return 2 * number * (5 if "CHANGED" in os.environ else 1)


@app.task
def killed(order_id: int) -> None:  # noqa: ARG001 - an order that is to be found again
    """End as if the machine had no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    double.delay(number=1)
    killed.delay(order_id=7)
    double.delay(number=2)
