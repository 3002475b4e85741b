"""The collector away: an app under load is as fast as with the collector there, and what was lost is counted.

``python -m benchmarks.collector [SECONDS]`` prints the percentiles too; a minute for each run unless told otherwise. It
needs the collector that ``scripts/install-otelcol`` finds or builds.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from pymongo import MongoClient
from rich.console import Console
from rich.table import Table

from benchmarks.exporting import collector
from examples.support import free_port
from tests.support.commands import OTEL
from tests.support.mongo import MongoServer

SECONDS = 60.0
ROUNDS = 3
_APP = str(Path(__file__).with_name("collector_app.py"))
_LOST = re.compile(r"not all of the recording was delivered: (.*)")


def _run(uri: str, port: int, seconds: float) -> tuple[dict[str, float], str]:
    """Percentiles in microseconds, and what the app's log says was lost."""
    env = {
        "MONGODB_URI": uri,
        "TIMETRACER_MODE": "record",
        "TIMETRACER_NONDETERMINISM": "none",  # the program measures itself
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    command = [*OTEL, "--traces_exporter", "otlp", sys.executable, _APP, str(seconds)]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    lost = _LOST.search(done.stderr)
    return json.loads(done.stdout.splitlines()[-1]), lost[1] if lost else "nothing"


def runs(seconds: float) -> list[tuple[str, dict[str, float], str]]:
    """Run the app with and without a collector by turns; give for each run where it sent, percentiles and losses."""
    found = []
    with tempfile.TemporaryDirectory() as folder, MongoServer() as server:
        items = MongoClient(server.uri).bench.items  # type: ignore[var-annotated]  # any documents
        items.insert_many([{"_id": number, "text": "x" * 10_000} for number in range(3)])
        for _ in range(ROUNDS):
            with collector(Path(folder)) as (grpc, _http):
                found.append(("collector there", *_run(server.uri, grpc, seconds)))
            found.append(("collector away", *_run(server.uri, free_port(), seconds)))
    return found


def measure(seconds: float = SECONDS) -> list[tuple[str, float, str]]:
    """Give rows of name, ratio and bound; the best run of each counts, since whatever else runs only adds."""
    return _rows(runs(seconds))


def _rows(found: list[tuple[str, dict[str, float], str]]) -> list[tuple[str, float, str]]:
    def best(where: str, share: str) -> float:
        return min(figures[share] for name, figures, _ in found if name == where)

    return [
        (
            f"{share} of a request, collector away ÷ there",
            best("collector away", share) / best("collector there", share),
            bound,
        )
        for share, bound in (("p50", ""), ("p90", ""), ("p99", "≤ 1.05"))
    ]


def main() -> None:
    """Print every run, and the ratios."""
    found = runs(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)
    table = Table("run", "requests", "p50 µs", "p90 µs", "p99 µs", "lost")
    for name, figures, lost in found:
        table.add_row(name, *(f"{figures[key]:,.0f}" for key in ("requests", "p50", "p90", "p99")), lost)
    Console(width=160).print(table)
    for name, ratio, bound in _rows(found):
        print(f"{name}: {ratio:.2f} {bound}")


if __name__ == "__main__":
    main()
