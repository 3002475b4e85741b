"""Record tests/jaeger/exchange anew: requests to an app, by cassette files and through a real Jaeger at once.

``python -m scripts.record_jaeger [BINARY]``. BINARY is Jaeger 2: the release's program ``jaeger``; without it
``TIMETRACER_JAEGER`` and then ``jaeger`` on PATH are used. All ports are free ones on loopback.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from examples.support import MongoServer, Program, free_port
from tests.support.commands import OTEL
from timetracer_otel.cassette.bundle import bundle
from timetracer_otel.cassette.finding import find
from timetracer_otel.cassette.loading import load

__all__ = ["ASKS", "ELSEWHERE", "EXCHANGE", "UNKNOWN", "Jaeger", "Recorded", "binary", "read", "record", "write"]

ROOT = Path(__file__).resolve().parents[1]
EXCHANGE = ROOT / "tests" / "jaeger" / "exchange"
APP = ROOT / "tests" / "jaeger"
UNKNOWN = "0af7651916cd43dd8448eb211c80319c"
"""A trace that Jaeger does not have."""
ELSEWHERE = "/elsewhere"
"""A path that Jaeger answers with its user interface."""
SECONDS = 20.0
_BINARY_BODY = bytes(range(256)) * 1500
_LARGE_TEXT = ("%06d grün ✓ \n" * 10 % tuple(range(10))).encode() * 9000
ASKS: tuple[tuple[str, str, bytes, int], ...] = (
    ("POST", "/notes/short?q=gr%C3%BCn%20%E2%9C%93", "zwölf ✓ \U0001f600".encode(), 200),
    ("POST", "/notes/binary", _BINARY_BODY, 200),
    ("POST", "/notes/large", _LARGE_TEXT, 200),
    ("GET", "/spans", b"", 200),
    ("GET", "/fail", b"", 500),
)
"""Method, target, body and expected status of the requests."""


@dataclass
class Recorded:
    """What was recorded.

    Attributes:
        version: Jaeger's.
        answers: of its API, by path: status, content type, body.
        traces: by the request's target, its trace id.
    """

    version: str
    answers: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    traces: dict[str, str] = field(default_factory=dict)


class Jaeger:
    """Jaeger with one kind of storage, on free ports.

    Args:
        program: its path.
        folder: for its configuration, log and data.
        storage: ``memory`` or ``badger``.
    """

    def __init__(self, program: str, folder: Path, storage: str = "memory") -> None:
        self.query, self.otlp, self._program = free_port(), free_port(), program
        self._folder = folder
        kept = {
            "memory": {"max_traces": 1000},
            "badger": {"directories": {"keys": str(folder / "keys"), "values": str(folder / "values")}},
        }
        configuration = {
            "service": {
                "extensions": ["jaeger_storage", "jaeger_query"],
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
                "telemetry": {"metrics": {"level": "none"}},
            },
            "extensions": {
                "jaeger_storage": {"backends": {"kept": {storage: kept[storage]}}},
                "jaeger_query": {
                    "storage": {"traces": "kept"},
                    "http": {"endpoint": f"127.0.0.1:{self.query}"},
                    "grpc": {"endpoint": f"127.0.0.1:{free_port()}"},
                },
            },
            "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{self.otlp}"}}}},
            "exporters": {"jaeger_storage_exporter": {"trace_storage": "kept"}},
        }
        # JSON is YAML too.
        (folder / "jaeger.yaml").write_text(json.dumps(configuration), encoding="utf-8")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it."""
        command = [self._program, "--config", str(self._folder / "jaeger.yaml")]
        log = self._folder / "jaeger.log"
        with Program(command, log=log, env=dict(os.environ), cwd=self._folder) as program:
            program.wait_for_port(self.query)
            program.wait_for_port(self.otlp)
            yield

    def ask(self, path: str) -> tuple[int, str, bytes]:
        """Ask its API; give status, content type and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.query, timeout=SECONDS)
        try:
            connection.request("GET", path, headers={"Accept": "application/json"})
            response = connection.getresponse()
            return response.status, response.headers.get("content-type", ""), response.read()
        finally:
            connection.close()


def binary(given: str | None = None) -> str:
    """Find Jaeger.

    Args:
        given: its path; without it ``TIMETRACER_JAEGER``, then PATH.

    Raises:
        SystemExit: there is none.
    """
    found = shutil.which(given or os.environ.get("TIMETRACER_JAEGER") or "jaeger")
    if found is None:
        raise SystemExit("record_jaeger: no Jaeger: give its path as argument or in TIMETRACER_JAEGER")
    return found


def record(program: str, folder: Path, storage: str = "memory") -> Recorded:
    """Run Jaeger and the app, send the requests, ask Jaeger for their traces.

    Args:
        program: Jaeger.
        folder: an empty one. The cassette files of the same run are below ``direct`` in it afterwards.
        storage: of Jaeger.
    """
    jaeger = Jaeger(program, folder, storage)
    with jaeger.running():
        _record_app(jaeger, folder)
        lanes = load(find([str(folder / "direct")], folder)).lanes
        recorded = Recorded(_version(program))
        for lane in lanes:
            assert lane.entry is not None
            target, trace_id = lane.entry.text("timetracer.http.target") or "", lane.entry.trace_id
            recorded.traces[target] = trace_id
            path = f"/api/v3/traces/{trace_id}?raw_traces=true"
            recorded.answers[path] = _settled(jaeger, path)
        unknown = f"/api/v3/traces/{UNKNOWN}?raw_traces=true"
        for path in (unknown, ELSEWHERE + unknown):
            recorded.answers[path] = jaeger.ask(path)
    assert sorted(recorded.traces) == sorted(target for _, target, _, _ in ASKS)
    return recorded


def _record_app(jaeger: Jaeger, folder: Path) -> None:
    """Have the app record by both ways."""
    port = free_port()
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TIMETRACER_"))},
        "TIMETRACER_MODE": "record",
        "TIMETRACER_FILES": "1",
        "TIMETRACER_SPAN_PAYLOADS": "1",
        "TIMETRACER_DIR": str(folder / "direct"),
        "OTEL_SERVICE_NAME": "notes",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{jaeger.otlp}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    flask = [sys.executable, "-m", "flask", "--app", "app", "run", "--port", str(port)]
    command = [*OTEL, "--traces_exporter", "otlp", *flask]
    log = folder / "app.log"
    with MongoServer() as server, Program(command, log=log, env=env | {"MONGODB_URI": server.uri}, cwd=APP) as program:
        program.wait_for_port(port)
        for method, target, body, status in ASKS:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
            connection.request(method, target, body or None)
            answered = connection.getresponse()
            if answered.status != status or (body and answered.read() != body):
                raise RuntimeError(f"{method} {target} was answered {answered.status}:\n{log.read_text()}")
            connection.close()
        program.send(signal.SIGINT)
        program.wait()


def _settled(jaeger: Jaeger, path: str) -> tuple[int, str, bytes]:
    """An answer that has stopped to grow: what was acknowledged may be stored a little later."""
    answer, deadline = jaeger.ask(path), time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.5)
        before, answer = answer, jaeger.ask(path)
        if answer[0] == 200 and len(answer[2]) == len(before[2]):
            return answer
    raise RuntimeError(f"Jaeger answers {answer[0]} to {path}: {answer[2][:200]!r}")


def _version(program: str) -> str:
    """What Jaeger says that it is, such as ``v2.13.0``."""
    done = subprocess.run([program, "version"], capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout)["gitVersion"])


def write(recorded: Recorded, direct: Path, folder: Path) -> None:
    """Write what was recorded, without the paths of this machine.

    Args:
        recorded: from :func:`record`.
        direct: the cassette files of the same run.
        folder: where ``exchange.json.gz`` and ``direct.jsonl.gz`` are written.
    """
    folder.mkdir(exist_ok=True)
    document = {
        "jaeger": recorded.version,
        "traces": recorded.traces,
        "answers": {path: (status, kind, body.decode()) for path, (status, kind, body) in recorded.answers.items()},
    }
    lines = folder / "direct.jsonl"
    bundle(find([str(direct)], direct), lines)
    _pack(folder / "exchange.json.gz", json.dumps(document, ensure_ascii=False, indent=0).encode(), direct)
    _pack(folder / "direct.jsonl.gz", lines.read_bytes(), direct)
    lines.unlink()


def _pack(file: Path, data: bytes, direct: Path) -> None:
    """Compress, with each path of this machine as another one of its length: sizes stand beside payloads."""
    for path in sorted({str(ROOT), str(direct.parent), sys.prefix}, key=len, reverse=True):
        data = data.replace(path.encode(), b"/" + b"x" * (len(path.encode()) - 1))
    file.write_bytes(gzip.compress(data, mtime=0))


def read(folder: Path = EXCHANGE) -> Recorded:
    """Read what :func:`write` wrote."""
    document = json.loads(gzip.decompress((folder / "exchange.json.gz").read_bytes()))
    answers = {path: (status, kind, body.encode()) for path, (status, kind, body) in document["answers"].items()}
    return Recorded(document["jaeger"], answers, document["traces"])


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.record_jaeger", description=__doc__)
    parser.add_argument("binary", nargs="?", help="Jaeger 2's program")
    program = binary(parser.parse_args(arguments).binary)
    with tempfile.TemporaryDirectory(prefix="timetracer-jaeger-") as temporary:
        folder = Path(temporary)
        recorded = record(program, folder)
        write(recorded, folder / "direct", EXCHANGE)
    print(f"{len(recorded.traces)} traces recorded in {EXCHANGE}")


if __name__ == "__main__":
    main(sys.argv[1:])
