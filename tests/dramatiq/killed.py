"""An actor whose process is killed the first time."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

dramatiq.set_broker(RabbitmqBroker(url=os.environ["BROKER"]))


@dramatiq.actor
def told(order_id: int) -> None:
    """Be told of an order."""


@dramatiq.actor
def paid(order_id: int) -> None:
    """Tell another, then end as if the machine had no memory left, unless that was before."""
    told.send(order_id)
    mark = Path(os.environ["MARK"])
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
