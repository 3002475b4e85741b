"""A worker process of Dramatiq's that is killed: the main process writes the lane of what it was at."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examples.support import Program
from tests.support.rabbitmq import running
from tests.support.workers import executions, published
from timetracer_otel import spans
from timetracer_otel.families.kinds import task

pytestmark = pytest.mark.system  # a real broker

HERE = Path(__file__).parent
PROGRAMS = Path(sys.executable).parent
SECONDS = 60.0


def test_a_killed_process_leaves_its_lane(tmp_path: Path) -> None:
    """With the calls that it had made; the broker delivers the message anew, which is another lane."""
    cassettes = tmp_path / "cassettes"
    with running() as rabbit:
        settings = {"BROKER": rabbit.url, "MARK": str(tmp_path / "mark"), "TIMETRACER_DIR": str(cassettes)}
        env = {**os.environ, "PYTHONPATH": str(HERE), **settings}
        code = "import killed; killed.paid.send(order_id=7)"
        subprocess.run([sys.executable, "-c", code], cwd=HERE, env=env, check=True, timeout=SECONDS)
        worker = [str(PROGRAMS / name) for name in ("opentelemetry-instrument", "dramatiq")]
        command = [worker[0], "--traces_exporter", "timetracer", worker[1], "killed", "--processes", "1"]
        done = subprocess.run(command, cwd=HERE, env=env, capture_output=True, timeout=SECONDS, check=False)
        assert done.returncode != 0
        [lost] = [lane for lane in executions(cassettes) if lane.entry and lane.entry.text(task.NAME) == "paid"]
        with Program(command, log=tmp_path / "worker.log", env=env, cwd=HERE):
            until = time.monotonic() + SECONDS
            while sum("paid" in lane.entry.name for lane in executions(cassettes) if lane.entry) < 2:
                assert time.monotonic() < until, (tmp_path / "worker.log").read_text()
                time.sleep(0.2)
    assert lost.entry is not None
    assert (lost.entry.text(task.STATE), lost.entry.text(task.ARGUMENTS)) == ("FAILURE", '{"order_id": 7}')
    assert "was killed" in (lost.entry.text(spans.ERROR) or "")
    assert published(lost) == ["told"]
    again = [lane.entry for lane in executions(cassettes) if lane.entry and lane.entry.text(task.NAME) == "paid"]
    assert [entry.text(task.STATE) for entry in again] == ["FAILURE", "SUCCESS"]
    assert len({entry.text(task.TASK_ID) for entry in again}) == 1
    assert not list(cassettes.rglob(".*.part"))
