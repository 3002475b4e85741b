"""Verifying: how many requests a second, beside the same app live, asked by the same client."""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from bson import ObjectId
from pymongo import MongoClient

from examples.support import Program
from tests.matrix.harness import APPS, ELSEWHERE, Sample, environment, seed
from tests.support.mongo import MongoServer, free_port
from timetracer_otel.cassette import shelf, storage
from timetracer_otel.replay.env import environment as replaying
from timetracer_otel.replay.verifying.client import Sending, Target, send
from timetracer_otel.replay.verifying.verify import Options, verify

REQUESTS = 600
ROUNDS = 3
CONCURRENCY = 8
_SHOP = Sample("flask", ("flask", "--app", "flask_shop", "run", "--port", "{port}"))
_ORDER = "0" * 23 + "1"
_HEAD = f"GET /orders/{_ORDER}?customer=c1 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n".encode()


def _ask(port: int) -> float:
    """Send the request many times, several at a time; give requests per second."""
    waiting = deque(range(REQUESTS))

    def work() -> None:
        while waiting:
            waiting.popleft()
            if send(Target("127.0.0.1", port), Sending("GET", _HEAD, b""), 30).status != 200:
                raise SystemExit("the measured app did not answer")

    began = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(CONCURRENCY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return REQUESTS / (time.perf_counter() - began)


def _served(prefix: list[str], folder: Path, env: dict[str, str]) -> float:
    port = free_port()
    with Program([*prefix, *_SHOP.started(port)], log=folder / "app.log", env=env, cwd=APPS) as program:
        program.wait_for_port(port)
        return _ask(port)


def _verified(cassettes: Path) -> float:
    env = {**os.environ, **environment(MONGODB_URI=ELSEWHERE), "PYTHONPATH": str(APPS)}
    options = Options(_SHOP.started(0), replaying(env, [], [], detailed=True), concurrency=CONCURRENCY)
    result = verify(shelf.catalog(storage.find([str(cassettes)], cassettes)), options)
    if result.exit_status:
        raise SystemExit(f"the verification failed: {result.problems or result.differing[0].differences}")
    return len(result.verified) / result.sending


def measure() -> list[tuple[str, float, str]]:
    """Give rows of name, ratio and bound; the variants take turns, the median round counts."""
    with tempfile.TemporaryDirectory() as work, MongoServer() as server:
        folder = Path(work)
        cassettes = folder / "cassettes"
        seed(server.uri)
        orders = MongoClient(server.uri).timetracer_matrix_flask.orders  # type: ignore[var-annotated]  # any documents
        orders.insert_one({"_id": ObjectId(_ORDER), "total": 5, "placed": datetime(2026, 1, 1, tzinfo=UTC)})
        live = environment(MONGODB_URI=server.uri)
        _served(
            ["opentelemetry-instrument", "--traces_exporter", "timetracer"],
            folder,
            {**live, "TIMETRACER_DIR": str(cassettes)},
        )
        rounds = [(_served([], folder, live), _verified(cassettes)) for _ in range(ROUNDS)]
    bare, verified = (statistics.median(one[side] for one in rounds) for side in (0, 1))
    print(f"live {bare:.0f} requests/s, verified {verified:.0f} requests/s")
    return [("verify ÷ bare app live, requests per second of a Flask route with 2 find_one", verified / bare, "")]
