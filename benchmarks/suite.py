"""A test suite in one process: what recording it costs, how much is written, and what a replay needs.

The suite is :mod:`benchmarks.suite_app`, which says what it is modelled on.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.programs import ended
from tests.support.commands import OTEL, REPLAY
from tests.support.mongo import MongoServer

REQUESTS = 5000
_APP = (sys.executable, str(Path(__file__).with_name("suite_app.py")))
_MEGA = 1024 * 1024


def _run(command: Sequence[str], env: dict[str, str]) -> dict[str, float]:
    """CPU seconds and memory of a run of the suite, which says them itself at the end of what it writes."""
    lines = ended(command, env).stderr.splitlines()
    line = next(line for line in reversed(lines) if line.startswith('{"cpu"'))
    measured: dict[str, float] = json.loads(line)
    return measured


def measure(requests: int = REQUESTS) -> list[tuple[str, float, str]]:
    """Give rows of name, figure and bound.

    Args:
        requests: how many the suite makes.
    """
    program = (*_APP, str(requests))
    with tempfile.TemporaryDirectory() as folder:
        recording = {"TIMETRACER_DIR": folder}
        with MongoServer() as server:
            at = {"MONGODB_URI": server.uri}
            live = _run(program, {**at, "DATABASE": "live"})
            off = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
            traced = _run((*OTEL, *program), {**at, **off, "DATABASE": "traced"})
            env = {**at, **recording, "DATABASE": "recorded"}
            recorded = _run((*OTEL, "--traces_exporter", "timetracer", *program), env)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*.jsonl") if not file.is_symlink())
        replayed = _run((*REPLAY, folder, "--", *program), {**at, "DATABASE": "recorded"})
    return [
        ("CPU of a test suite, recorded ÷ live", recorded["cpu"] / live["cpu"], "≤ 1.4"),
        ("CPU of the same suite, recorded ÷ OpenTelemetry", recorded["cpu"] / traced["cpu"], ""),
        ("CPU of the same suite, replayed ÷ live", replayed["cpu"] / live["cpu"], "≤ 1.2"),
        (f"its cassette, MB for {requests} requests", size / _MEGA, "≤ 150"),
        ("memory of its replay, MB", replayed["mb"], "≤ 400"),
    ]
