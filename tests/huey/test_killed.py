"""A worker process of Huey's that is killed: the consumer writes the lane of what it was at."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examples.support import Program
from tests.support.workers import executions
from timetracer_otel import spans
from timetracer_otel.families.kinds import task

pytestmark = pytest.mark.system  # the consumer looks after its processes every ten seconds

HERE = Path(__file__).parent
PROGRAMS = Path(sys.executable).parent
SECONDS = 60.0


def test_a_killed_process_leaves_its_lane(tmp_path: Path) -> None:
    """With the calls that it had made."""
    cassettes = tmp_path / "cassettes"
    env = {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "STORAGE_FILE": str(tmp_path / "shop.db"),
        "TIMETRACER_DIR": str(cassettes),
    }
    subprocess.run(
        [sys.executable, "-c", "import killed; killed.paid(7)"], cwd=HERE, env=env, check=True, timeout=SECONDS
    )
    worker = [str(PROGRAMS / name) for name in ("opentelemetry-instrument", "huey_consumer")]
    command = [worker[0], "--traces_exporter", "timetracer", worker[1], "killed.huey", "-w", "2", "-k", "process"]
    with Program(command, log=tmp_path / "worker.log", env=env, cwd=HERE):
        until = time.monotonic() + SECONDS
        while not (found := executions(cassettes)):
            assert time.monotonic() < until, (tmp_path / "worker.log").read_text()
            time.sleep(0.2)
    [lane] = found
    assert lane.entry is not None
    assert (lane.entry.text(task.STATE), lane.entry.text(task.ARGUMENTS)) == ("FAILURE", '{"order_id": 7}')
    assert "was killed" in (lane.entry.text(spans.ERROR) or "")
    assert [call.name for call in lane.calls] == ["huey put_data"]
    assert not list(cassettes.rglob(".*.part"))
