"""A server that watches over its workers waits for one that the recording or the replay delays."""

from __future__ import annotations

import time
from multiprocessing import get_context
from typing import Any

import pytest

pytest.importorskip("uvicorn.supervisors.multiprocess")
from uvicorn.config import Config
from uvicorn.supervisors.multiprocess import Process

pytestmark = pytest.mark.usefixtures("patched")


def _sleeping(seconds: float) -> None:
    time.sleep(seconds)


def _worker(seconds: float) -> Any:
    worker = Process(Config(app="no:app"), [])
    worker.process = get_context("spawn").Process(target=_sleeping, args=(seconds,))
    worker.process.start()
    return worker


def test_a_worker_that_has_not_answered_yet_is_alive_as_long_as_its_process() -> None:
    """Once it has answered, it is uvicorn's own to judge whether it hangs."""
    worker = _worker(600.0)
    assert worker.is_alive(timeout=0.01)
    worker.child_conn.send("started")
    assert worker.is_alive(timeout=60)
    assert not worker.is_alive(timeout=0.01)
    worker.kill()
    worker.process.join()


def test_a_worker_that_ended_before_it_answered_is_not_alive() -> None:
    """Its server starts another one, or ends."""
    worker = _worker(0.0)
    worker.process.join()
    assert not worker.ping(timeout=0.01)
    worker.child_conn.close()
    worker.parent_conn.close()
