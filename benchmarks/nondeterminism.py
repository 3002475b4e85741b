"""Nondeterminism: what recording adds to a clock's reading and to a request, and what giving back costs."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymongo import MongoClient

import timetracer_otel
from tests.support.commands import OTEL
from tests.support.mongo import MongoServer
from timetracer_otel import nondeterminism, seams
from timetracer_otel.families.kinds.http import Request
from timetracer_otel.nondeterminism import Noted

ROUNDS = 40
DRAWS = 2000
REQUEST_ROUNDS = 7
_APP = str(Path(__file__).with_name("nondeterminism_app.py"))


def _time(function: Callable[[], object]) -> float:
    """Nanoseconds of a call."""
    start = time.perf_counter_ns()
    for _ in range(DRAWS):
        function()
    return (time.perf_counter_ns() - start) / DRAWS


DRAWING: dict[str, tuple[Callable[[], object], str]] = {
    "time.time": (lambda: time.time(), "≤ 1"),  # noqa: PLW0108 - looked up when called, as an app's statement does
    "time.perf_counter": (lambda: time.perf_counter(), "≤ 1"),  # noqa: PLW0108 - as above
    "datetime.now": (lambda: datetime.now(UTC), "≤ 2"),
    "uuid.uuid4": (lambda: uuid.uuid4(), ""),  # noqa: PLW0108 - as above
    "random.random": (lambda: random.random(), ""),  # noqa: PLW0108 - as above
}


def _added() -> dict[str, float]:
    """Microseconds that a recorded lane adds to each draw; both take turns, and the least of each counts."""
    with tempfile.TemporaryDirectory() as folder:
        settings = timetracer_otel.install(mode="record", dir=folder)
        runtime = seams.active()
        assert runtime is not None
        lane: Any = runtime.open_lane(Request("GET", "/", []))
        noted = lane.draws
        assert isinstance(noted, Noted)
        bare: dict[str, float] = dict.fromkeys(DRAWING, 1e9)
        recorded = dict(bare)
        for _ in range(ROUNDS):
            nondeterminism.uninstall()
            bare = {name: min(bare[name], _time(draw)) for name, (draw, _) in DRAWING.items()}
            nondeterminism.install(settings.draws, nondeterminism.note, ())
            with lane.entered():
                for name, (draw, _) in DRAWING.items():
                    recorded[name] = min(recorded[name], _time(draw))
                    noted.take()
        lane.draws = None
        timetracer_otel.uninstall()
    return {name: (recorded[name] - bare[name]) / 1000 for name in DRAWING}


def _requests() -> float:
    """CPU of the Mongo request with draws recorded, over that of the same one without; the variants take turns."""
    ratios = []
    with tempfile.TemporaryDirectory() as folder, MongoServer() as server:
        items = MongoClient(server.uri).bench.items  # type: ignore[var-annotated]  # any documents
        items.insert_many([{"_id": n, "text": "x" * 500, "n": n, "tags": ["a", "b"]} for n in range(20)])
        for _ in range(REQUEST_ROUNDS):
            cpu = {kinds: _cpu(server.uri, folder, kinds) for kinds in ("none", "all")}
            ratios.append(cpu["all"] / cpu["none"])
    return statistics.median(ratios)


def _cpu(uri: str, folder: str, kinds: str) -> float:
    env = {
        **os.environ,
        "MONGODB_URI": uri,
        "TIMETRACER_DIR": folder,
        "TIMETRACER_NONDETERMINISM": kinds,
    }
    command = [*OTEL, "--traces_exporter", "timetracer", sys.executable, _APP, "300"]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return float(ended.stdout.splitlines()[-1])


def measure() -> list[tuple[str, float, str]]:
    """Give rows of name, figure or ratio, and bound."""
    rows = [(f"recording adds to {name}, µs", added, DRAWING[name][1]) for name, added in _added().items()]
    return [*rows, ("request with 10 draws recorded ÷ without draws, CPU", _requests(), "≤ 1.03")]
