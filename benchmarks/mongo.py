"""MongoDB: what recording costs beside plain OpenTelemetry, and how fast a replay answers."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pymongo import MongoClient

from benchmarks.programs import NO_EXPORTERS, measured
from tests.support.commands import OTEL
from tests.support.mongo import MongoServer

REQUESTS = 150
ROUNDS = 5
_APP = str(Path(__file__).with_name("mongo_app.py"))


def measure() -> list[tuple[str, float, str]]:
    """Give rows of name, ratio and bound; the variants take turns, the median round counts."""
    program = [sys.executable, _APP, str(REQUESTS)]
    with tempfile.TemporaryDirectory() as folder, MongoServer() as server:
        items = MongoClient(server.uri).bench.items  # type: ignore[var-annotated]  # any documents
        items.insert_many([{"_id": n, "text": "x" * 500, "n": n, "tags": ["a", "b"]} for n in range(20)])
        live = {"MONGODB_URI": server.uri}
        record = {**live, "TIMETRACER_DIR": folder}
        # Without the recorded clock: the program measures itself, and would be given the recorded times.
        own_clock = {"TIMETRACER_NONDETERMINISM": "none"}
        replay = {**live, **own_clock, "TIMETRACER_MODE": "replay", "TIMETRACER_CASSETTE": folder, **NO_EXPORTERS}
        variants: dict[str, Callable[[], dict[str, float]]] = {
            "bare": lambda: measured(program, live),
            "otel": lambda: measured([*OTEL, *program], {**live, **NO_EXPORTERS}),
            "record": lambda: measured([*OTEL, "--traces_exporter", "timetracer", *program], record),
            "replay": lambda: measured([*OTEL, *program], replay),
        }
        rounds = [{name: run() for name, run in variants.items()} for _ in range(ROUNDS)]

    def ratio(mine: str, other: str, figure: str) -> float:
        return statistics.median(one[mine][figure] for one in rounds) / statistics.median(
            one[other][figure] for one in rounds
        )

    return [
        ("CPU of a request with 20 find_one, record ÷ OpenTelemetry", ratio("record", "otel", "cpu_us"), "≤ 1.25"),
        ("CPU of the same request, record ÷ bare driver", ratio("record", "bare", "cpu_us"), ""),
        ("CPU of the same request, OpenTelemetry ÷ bare driver", ratio("otel", "bare", "cpu_us"), ""),
        ("time of a find_one, replay ÷ bare driver live", ratio("replay", "bare", "find_us"), "≤ 0.4"),
        ("time of a find_one, replay ÷ OpenTelemetry live", ratio("replay", "otel", "find_us"), ""),
        ("time of the request, replay ÷ bare driver live", ratio("replay", "bare", "wall_us"), ""),
    ]
