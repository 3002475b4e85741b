"""A task whose process is killed."""

from __future__ import annotations

import os
import signal

from huey import SqliteHuey

huey = SqliteHuey("killed", filename=os.environ["STORAGE_FILE"])


@huey.task()
def paid(order_id: int) -> None:
    """Keep something beside the queue, then end as if the machine had no memory left."""
    huey.put("paid", order_id)
    os.kill(os.getpid(), signal.SIGKILL)
