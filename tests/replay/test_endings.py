"""Responses that do not end normally verify as they were: left, broken off, refused; on every server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from examples.support import Program, free_port
from tests.matrix.harness import NOT_USED
from tests.support.commands import OTEL, REPLAY
from timetracer_otel import spans
from timetracer_otel.cassette import loading, storage

pytestmark = pytest.mark.system  # half a minute of CPU: each case starts programs

HERE = Path(__file__).parent
SERVERS = {
    "werkzeug": ("flask", "--app", "ending_wsgi", "run", "--port", "{port}"),
    "gunicorn": ("gunicorn", "-b", "127.0.0.1:{port}", "--threads", "4", "ending_wsgi:app"),
    "uvicorn": ("uvicorn", "ending_asgi:app", "--port", "{port}", "--no-access-log"),
    "hypercorn": ("hypercorn", "-b", "127.0.0.1:{port}", "ending_asgi:app"),
}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def environment(**settings: str) -> dict[str, str]:
    """Our environment, our programs first."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    unused = ",".join(name for name in ("pymongo", *NOT_USED.split(",")) if name not in {"fastapi", "requests"})
    return {**os.environ, "PATH": path, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": unused, **settings}


@contextmanager
def talker() -> Iterator[str]:
    """Run a peer that never comes to an end; give its URL."""

    def talk(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(HEAD)
            for number in range(400):
                piece = b"data: %d\n\n" % number
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
                time.sleep(0.05)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        listening.shutdown(socket.SHUT_RDWR)


def ask(port: int, method: str, target: str, body: bytes = b"", until: int = 0) -> bytes:
    """Send a request, read some bytes of the response or all, and leave."""
    heard = b""
    with connected(port, method, target, len(body)) as connection, suppress(ConnectionResetError):
        connection.sendall(body)
        while (piece := connection.recv(65536)) and (not until or len(heard) < until):
            heard += piece
    return heard


def connected(port: int, method: str, target: str, length: int) -> socket.socket:
    """Send the head of a request."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    head = f"{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode())
    return connection


@pytest.fixture(scope="module", params=SERVERS)
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A server, and the cassettes of what a client asked it that left early, or that it left in the lurch."""
    folder, port = tmp_path_factory.mktemp(request.param), free_port()
    cassettes = folder / "cassettes"
    with talker() as peer:
        command = [*OTEL, *(word.format(port=port) for word in SERVERS[request.param])]
        env = environment(TIMETRACER_MODE="record", TIMETRACER_DIR=str(cassettes), PEER=peer)
        env["OTEL_TRACES_EXPORTER"] = "timetracer"
        (folder / "peer").write_text(peer)
        with Program(command, log=folder / "record.log", env=env, cwd=HERE) as program:
            program.wait_for_port(port)
            assert b"tick 1;" in ask(port, "GET", "/endless", until=260)
            assert b"tick" in ask(port, "GET", "/breaks")
            assert b" 413 " in ask(port, "POST", "/upload", bytes(5000))
            assert ask(port, "POST", "/upload", bytes(900)).endswith(b"900")
            assert b"data: 1" in ask(port, "GET", "/relay", until=300)
            with connected(port, "POST", "/upload", 900) as leaving:
                leaving.sendall(bytes(100))
            wait_for_lanes(cassettes, 6)
    return request.param, cassettes


def wait_for_lanes(cassettes: Path, count: int) -> None:
    """Wait until so many requests are on disk: a server notices late that a client has left."""
    until = time.monotonic() + 30
    while len([file for file in cassettes.rglob("*.jsonl") if file.name[:3] in {"GET", "POS"}]) < count:
        assert time.monotonic() < until, list(cassettes.rglob("*"))
        time.sleep(0.1)


def verify(recorded: tuple[str, Path], tmp_path: Path, **settings: str) -> tuple[int, dict[str, Any], str]:
    """Verify with the peer gone: exit status, report, and what was printed."""
    server, cassettes = recorded
    report, log = tmp_path / "report.json", tmp_path / "app.log"
    options = ("--report", str(report), "--log", str(log), "--timeout", "20")
    command = [*REPLAY, "--verify", str(cassettes), *options, "--", *(w.format(port=0) for w in SERVERS[server])]
    env = environment(PEER=(cassettes.parent / "peer").read_text(), **settings)
    done = subprocess.run(command, cwd=HERE, env=env, capture_output=True, text=True, timeout=110, check=False)
    return done.returncode, json.loads(report.read_bytes()), done.stdout + done.stderr + log.read_text()[-3000:]


def test_how_clients_left_is_recorded(recorded: tuple[str, Path]) -> None:
    """An entry says whether its client left during the request or the response, and when."""
    _, cassettes = recorded
    entries = [lane.entry for lane in loading.load(storage.find([str(cassettes)], cassettes)).lanes if lane.entry]
    left = [(one.text(spans.HTTP_TARGET), one.text(spans.CLIENT_LEFT)) for one in entries]
    assert left == [
        ("/endless", "response"),
        ("/breaks", None),
        ("/upload", None),
        ("/upload", None),
        ("/relay", "response"),
        ("/upload", "request"),
    ]
    assert all(isinstance(one.attributes.get(spans.CLIENT_LEFT_TIME, 0), int) for one in entries)


def test_unchanged_app_passes(recorded: tuple[str, Path], tmp_path: Path) -> None:
    """The client leaves where the recorded one left, and sends what the recorded one sent; nothing waits for ever."""
    status, report, said = verify(recorded, tmp_path)
    assert [one for lane in report["verified"] for one in lane["differences"] if not one["warning"]] == [], said
    assert (status, len(report["verified"])) == (0, 6), said


def test_changed_app_is_caught(recorded: tuple[str, Path], tmp_path: Path) -> None:
    """What a client had read before it left counts, and so does whether a response came to its end."""
    status, report, said = verify(recorded, tmp_path, WORD="tock", MENDED="1")
    found = {lane["request"]: [one["kind"] for one in lane["differences"]] for lane in report["verified"]}
    assert status == 1, said
    assert (found["GET /endless"], found["GET /breaks"]) == (["body"], ["body"]), said
    (lane,) = (lane for lane in report["verified"] if lane["request"] == "GET /breaks")
    end = {"path": "$ end", "recorded": "broken off after 4 bytes", "live": "whole after 4 bytes"}
    assert end in lane["differences"][0]["fields"], said
