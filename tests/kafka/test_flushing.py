"""A flush of confluent-kafka's that ran out of time says so in a replay too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system  # librdkafka takes its time to give a message up

PROGRAM = (sys.executable, str(Path(__file__).with_name("confluent_flushing.py")))
SAID = """\
2 left, 2 wait
b'first' _MSG_TIMED_OUT
0 left, 0 wait
1 left, 1 wait
"""


def ran(*command: str, **settings: str) -> str:
    """Run a command; give what it printed."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    env = {**os.environ, "PATH": path, **settings}
    return subprocess.run(command, env=env, check=True, timeout=60, stdout=subprocess.PIPE, text=True).stdout


def test_what_is_left_behind_a_flush(tmp_path: Path) -> None:
    """Messages are reported behind the flush that was too short for them, those without a report never."""
    recording = ("opentelemetry-instrument", "--traces_exporter", "timetracer", *PROGRAM)
    assert ran(*recording, TIMETRACER_DIR=str(tmp_path)) == SAID
    assert ran("timetracer-replay", str(tmp_path), "--", *PROGRAM) == SAID
