"""Apps that post from threads, pools and tasks verify with many requests under way, time and again."""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from itertools import count, product
from pathlib import Path

import pytest

from examples.support import Program, free_port
from tests.matrix.harness import APPS, Sample, environment, send, verify
from tests.support.serving import serving

FLASK = Sample("threads", ("flask", "--app", "threads_flask", "run", "--port", "{port}"))
FASTAPI = Sample("tasks", ("uvicorn", "tasks_fastapi:app", "--loop", "uvloop", "--port", "{port}", "--no-access-log"))
TARGETS = {
    "threads": [
        f"/{client}/{way}/{number}"
        for client, way, number in product(
            ("requests", "urllib3", "httpx", "asking"), ("thread", "timer", "own", "executor", "pool"), range(2)
        )
    ],
    "tasks": [
        *(
            f"/tasks/{way}/{number}"
            for way, number in product(("gather", "group", "anyio", "to_thread", "executor", "anyio_thread"), range(4))
        ),
        *(f"/sync/{number}" for number in range(4)),
    ],
}
ROUNDS = int(os.environ.get("ROUNDS", "2"))
"""How often each recording is verified."""
pytestmark = pytest.mark.system  # each round starts an app


_numbers = count()


class _Peer(BaseHTTPRequestHandler):
    """Answers with what it was told, or with the next number, sooner or later."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self) -> None:
        self._answer(str(next(_numbers)).encode())

    def _answer(self, body: bytes) -> None:
        time.sleep(random.random() / 50)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def recorded(sample: Sample, folder: Path, **settings: str) -> Path:
    """Record a sample app that is sent eight requests at a time; give the folder of its cassettes."""
    port = free_port()
    command = ["opentelemetry-instrument", "--traces_exporter", "timetracer", *sample.started(port)]
    with serving(_Peer) as url:
        env = environment(TIMETRACER_DIR=str(folder / "cassettes"), RATES_URL=url, **settings)
        (folder / "rates").write_text(url)
        with Program(command, log=folder / "record.log", env=env, cwd=APPS) as program, ThreadPoolExecutor(8) as pool:
            program.wait_for_port(port)
            statuses = list(pool.map(lambda target: send(port, "POST", target, None), TARGETS[sample.name]))
            program.stop()
    assert set(statuses) == {200}, (folder / "record.log").read_text()
    return folder / "cassettes"


@pytest.mark.parametrize("disabled", ["", "threading"], ids=["instrumented", "plain"])
@pytest.mark.parametrize("sample", [FLASK, FASTAPI], ids=lambda sample: sample.name)
def test_what_a_request_starts_replays(sample: Sample, tmp_path: Path, disabled: str) -> None:
    """Every post finds its own answer and every draw its own value, with OpenTelemetry's instrumentor and without."""
    settings = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": disabled}
    cassettes = recorded(sample, tmp_path, **settings)
    for number in range(ROUNDS):
        found = verify(sample, cassettes, tmp_path, f"round {number}", "--concurrency", "8", **settings)
        assert (found.differences(), found.status) == ([], 0), found.said
        assert len(found.report["verified"]) == len(TARGETS[sample.name])
