"""Recordings that leave by OTLP are there soon after their response, however the server is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from examples.support import Program, free_port
from tests.collector.recording import INSTRUMENTED, ask
from tests.support.backends import Collector, collecting
from timetracer_otel import spans

FLASK = """
import os, flask
app = flask.Flask(__name__)
os.write(2, b"an app is there\\n")
@app.get("/x/<int:n>")
def x(n):
    return str(n)
"""
ASGI = """
from fastapi import FastAPI
app = FastAPI()
@app.get("/x/{n}")
def x(n: int):
    return n
"""
SERVERS = {
    "flask": (FLASK, ("-m", "flask", "--app", "served", "run", "--port", "{port}")),
    "gunicorn": (FLASK, ("-m", "gunicorn", "served:app", "--workers", "2", "--bind", "127.0.0.1:{port}")),
    "uvicorn": (ASGI, ("-m", "uvicorn", "served:app", "--port", "{port}")),
}
STATUS = {
    ("flask", signal.SIGTERM): -signal.SIGTERM,
    ("flask", signal.SIGINT): 0,
    ("gunicorn", signal.SIGTERM): 0,
    ("gunicorn", signal.SIGINT): 0,
    ("uvicorn", signal.SIGTERM): -signal.SIGTERM,
    ("uvicorn", signal.SIGINT): 0,
}


def recording(server: Collector, **more: str) -> dict[str, str]:
    """The environment of a program that records to a receiver."""
    return os.environ | {
        "TIMETRACER_MODE": "record",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        **more,
    }


def arrived(server: Collector) -> set[str]:
    """The targets of the entries that are whole at the receiver."""
    found = set()
    for body in list(server.received):
        for one in ExportTraceServiceRequest.FromString(body).resource_spans:
            for span in (span for scope in one.scope_spans for span in scope.spans):
                values = {pair.key: pair.value.string_value for pair in span.attributes}
                if spans.HTTP_RESPONSE_BODY in values:
                    found.add(values.get(spans.HTTP_TARGET, ""))
    return found


@pytest.mark.system
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("name", SERVERS)
def test_nothing_is_lost_by_a_signal(tmp_path: Path, name: str, ending: signal.Signals) -> None:
    """Right after the last response; the exit status is the server's own."""
    program, command = SERVERS[name]
    (tmp_path / "served.py").write_text(program)
    port = free_port()
    started = [*INSTRUMENTED, sys.executable, *(part.format(port=port) for part in command)]
    with (
        collecting() as server,
        Program(started, log=tmp_path / "log", env=recording(server), cwd=tmp_path) as running,
    ):
        running.wait_for_port(port)
        for number in range(20):
            assert ask(port, "GET", f"/x/{number}") == (200, str(number).encode())
        # gunicorn forgets a signal that comes before a worker has set its handlers, and waits half a minute for it.
        while name == "gunicorn" and (tmp_path / "log").read_text().count("an app is there") < 2:
            time.sleep(0.02)
        os.kill(running.pid, ending)
        status = running.wait()
        assert arrived(server) == {f"/x/{number}" for number in range(20)}
    assert status == STATUS[name, ending]


@pytest.mark.system
@pytest.mark.parametrize(("delay", "is_there"), [("", True), ("60000", False)])
def test_a_lane_leaves_soon_unless_the_user_set_a_delay(tmp_path: Path, delay: str, is_there: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Long before the exporter's own five seconds; ``OTEL_BSP_SCHEDULE_DELAY`` keeps its meaning."""
    (tmp_path / "served.py").write_text(FLASK)
    port = free_port()
    started = [*INSTRUMENTED, sys.executable, *(part.format(port=port) for part in SERVERS["flask"][1])]
    with collecting() as server:
        more = {"OTEL_BSP_SCHEDULE_DELAY": delay} if delay else {}
        with Program(started, log=tmp_path / "log", env=recording(server, **more), cwd=tmp_path) as running:
            running.wait_for_port(port)
            ask(port, "GET", "/x/1")
            until = time.monotonic() + (30 if is_there else 2)
            while not arrived(server) and time.monotonic() < until:
                time.sleep(0.02)
            assert bool(arrived(server)) == is_there
            os.kill(running.pid, signal.SIGKILL)


OWN = """
import os, signal, subprocess, sys, threading
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
def mine(number, frame):
    print("mine", flush=True)
assert signal.signal(signal.SIGTERM, mine) is signal.SIG_DFL
assert signal.getsignal(signal.SIGTERM) is mine
os.kill(os.getpid(), signal.SIGTERM)
assert signal.signal(signal.SIGTERM, signal.SIG_DFL) is mine
assert signal.signal.__name__ == "signal" and signal.signal.__module__ == "signal"
asking = "import signal; print(signal.getsignal(15).name, flush=True)"
subprocess.run([sys.executable, "-S", "-E", "-c", asking])
if os.fork() == 0:
    os.kill(os.getpid(), signal.SIGTERM)
    os._exit(9)
print(os.WTERMSIG(os.wait()[1]), flush=True)
os.kill(os.getpid(), signal.SIGTERM)
print("never")
"""


@pytest.mark.system
@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:9"], ids=["up", "away"])
def test_the_signal_is_the_apps(tmp_path: Path, endpoint: str) -> None:
    """It asks, sets and restores handlers as without us, in children too; its end is the signal's, receiver or not."""
    (tmp_path / "own.py").write_text(OWN)
    with collecting() as server:
        more = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint} if endpoint else {}
        command = [*INSTRUMENTED, sys.executable, "own.py"]
        result = subprocess.run(
            command,
            cwd=tmp_path,
            env=recording(server, **more),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.stdout.splitlines() == ["mine", "SIG_DFL", str(int(signal.SIGTERM))], result.stderr
    assert result.returncode == -signal.SIGTERM
