"""Recording a sample app once, and verifying a variant of it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from examples.support import Program, free_port
from tests.support.serving import serving

__all__ = ["APPS", "Sample", "Verified", "rates", "record", "send", "verify"]

APPS = Path(__file__).parent / "apps"
ELSEWHERE = "mongodb://127.0.0.1:9/"
"""A server that does not answer."""
CUSTOMERS = 12
NOT_USED = "aiohttp-client,fastapi,httpx2,requests,tornado,urllib,urllib3"
"""Instrumentations that would import their libraries, which no sample uses: half of the time that a start takes."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample app.

    Attributes:
        name: for messages.
        command: starts it; ``{port}`` is replaced.
        serves: whether it is sent requests.
        asks_rates: whether it asks the service of rates.
    """

    name: str
    command: tuple[str, ...]
    serves: bool = True
    asks_rates: bool = False

    def started(self, port: int) -> list[str]:
        """Its command on a port."""
        return [word.format(port=port) for word in self.command]


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification said."""

    status: int
    said: str
    report: dict[str, Any]

    def differences(self) -> list[tuple[str, str]]:
        """Kind and text of each difference that counts."""
        return [
            (one["kind"], f"{one['what']} {json.dumps(one['fields'])}")
            for lane in self.report["verified"]
            for one in lane["differences"]
            if not one["warning"]
        ]


class _Rates(BaseHTTPRequestHandler):
    """A service on loopback: a rate for each currency."""

    def do_GET(self) -> None:
        body = json.dumps({"rate": len(self.path) / 10}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def rates() -> AbstractContextManager[str]:
    """Run the service of rates; give its URL."""
    return serving(_Rates)


def environment(**settings: str) -> dict[str, str]:
    """Our environment without what would change a recording, our programs first."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TIMETRACER_", "FLASK_"))
    }
    path = os.pathsep.join((str(Path(sys.executable).parent), kept.get("PATH", "")))
    ours = {"PATH": path, "TIMETRACER_RAISE_FAULTS": "1", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": NOT_USED}
    return {**kept, **ours, **settings}


def record(sample: Sample, folder: Path, mongo_uri: str, rates_url: str) -> Path:
    """Record a sample app; give the folder of its cassettes."""
    cassettes = folder / "cassettes"
    env = environment(MONGODB_URI=mongo_uri, TIMETRACER_DIR=str(cassettes), RATES_URL=rates_url)
    (folder / "rates").write_text(rates_url)
    port = free_port()
    command = ["opentelemetry-instrument", "--traces_exporter", "timetracer", *sample.started(port)]
    with Program(command, log=folder / "record.log", env=env, cwd=APPS) as program:
        if sample.serves:
            program.wait_for_port(port)
            for method, target, body in _requests(sample):
                status = send(port, method, target, body)
                assert status < 400, f"{method} {target}: {status}\n{(folder / 'record.log').read_text()}"
            program.stop()
        else:
            assert program.wait() == 0, (folder / "record.log").read_text()
    return cassettes


def _requests(sample: Sample) -> Iterator[tuple[str, str, object]]:
    for number in range(CUSTOMERS):
        order, customer = f"{number:024x}", f"c{number}"
        placed = f"2026-01-{number + 1:02}T10:00:00+00:00"
        yield "POST", "/orders", {"id": order, "customer": customer, "count": number + 1, "placed": placed}
        yield "GET", f"/orders/{order}?customer={customer}", None
        yield "POST", f"/visits/{customer}", None
        yield "POST", "/sessions", None
        if sample.asks_rates:
            yield "GET", f"/rates/X{number}", None


def send(port: int, method: str, target: str, body: object) -> int:
    """Send a request; give the status of its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, target, data, {"Content-Type": "application/json"} if data else {})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def verify(sample: Sample, cassettes: Path, folder: Path, variant: str, *options: str, **settings: str) -> Verified:
    """Verify a variant of a sample app, its database out of reach."""
    report, log = folder / f"{variant}.json", folder / f"{variant}.log"
    rates_url = (cassettes.parent / "rates").read_text()
    env = environment(MONGODB_URI=ELSEWHERE, RATES_URL=rates_url, VARIANT=variant, TMPDIR=str(folder), **settings)
    options = ("--verify", str(cassettes), "--report", str(report), "--log", str(log), *options)
    command = ["timetracer-replay", *options, "--", *sample.started(0)]
    ended = subprocess.run(command, cwd=APPS, env=env, capture_output=True, text=True, timeout=120, check=False)
    said = "\n".join((ended.stdout, ended.stderr, *log.read_text("utf-8", "replace").splitlines()[-40:]))
    assert report.exists(), said
    return Verified(ended.returncode, said, json.loads(report.read_bytes()))


def seed(uri: str) -> None:
    """Put into the database what the samples read."""
    from pymongo import MongoClient  # noqa: PLC0415 - only a recording needs it

    with MongoClient[Mapping[str, Any]](uri) as client:
        for name in ("timetracer_matrix_flask", "timetracer_matrix_starlette"):
            client.drop_database(name)
            client[name].customers.insert_many([{"_id": f"c{n}", "name": f"Name {n}"} for n in range(CUSTOMERS)])
            client[name].stock.insert_one({"_id": "tea", "left": 1000})
        client.drop_database("timetracer_matrix_job")
        job = client.timetracer_matrix_job
        job.sales.insert_many([{"_id": n, "kind": "sale", "count": n} for n in range(30)])
        job.settings.insert_one({"_id": "job", "factor": 2})
