"""The way of one call through our code stays short: counted in calls and files, not in seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.support.commands import OTEL
from tests.support.mongo import MongoServer

ROOT = Path(__file__).parents[2]
NONE = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """What a find_one in a Flask request passes: while it is recorded, and in the replay of that."""
    folder = str(tmp_path_factory.mktemp("cassettes"))
    modes = {
        "record": {"OTEL_TRACES_EXPORTER": "timetracer", "TIMETRACER_DIR": folder},
        "replay": {"TIMETRACER_MODE": "replay", "TIMETRACER_CASSETTE": folder},
    }
    with MongoServer() as server:
        items: Any = MongoClient[Any](server.uri).bench.items
        items.insert_many([{"_id": n, "text": "x" * 500, "n": n, "tags": ["a", "b"]} for n in range(20)])
        environment = {**os.environ, **NONE, "MONGODB_URI": server.uri}
        yield {mode: way({**environment, **settings}) for mode, settings in modes.items()}


def way(environment: dict[str, str]) -> dict[str, Any]:
    """What the measured program counted."""
    command = [*OTEL, sys.executable, "-m", "benchmarks.mongo_way"]
    ended = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    counted: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return counted


@pytest.mark.parametrize(("mode", "files", "calls"), [("record", 8, 30), ("replay", 12, 60)])
def test_a_find_one_passes_few_files_and_functions(
    ways: dict[str, dict[str, Any]], mode: str, files: int, calls: int
) -> None:
    """From the driver's seam in until find_one returns, in steady state."""
    counted = ways[mode]
    assert "integrations/pymongo.py" in counted["files"], "the call was not seen"
    assert len(counted["files"]) <= files, counted["way"]
    assert counted["calls"] <= calls, counted["way"]
