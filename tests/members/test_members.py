"""A shop that its members log in to verifies as it is: tokens, hashes, uploads, a relayed stream, alone and at once."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, TypeAlias

import jwt
import pytest
from pymongo import MongoClient

from examples.support import Program, free_port
from tests.support.serving import serving

HERE = Path(__file__).parent
COMMANDS = {
    "flask": ("flask", "--app", "flask_members", "run", "--port", "{port}"),
    "fastapi": ("uvicorn", "fastapi_members:app", "--port", "{port}", "--no-access-log"),
}
SECRET = "a secret of the members' shop, long enough"
NAMES = ("ada", "grace", "alan", "barbara")
PASSWORD = "correct horse battery staple"
REQUESTS = 12
"""How many each member sends."""

Answer: TypeAlias = tuple[int, bytes]

pytestmark = pytest.mark.system  # a minute: each case starts an app


class _Bank(BaseHTTPRequestHandler):
    """Charges, each with an id of its own, and statements that are streamed."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"id": str(uuid.uuid4())}).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(50):
            piece = f"{self.path} line {number}\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def environment(home: Path, **settings: str) -> dict[str, str]:
    """A user's environment: no option of ours, and a home of its own for the key."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TIMETRACER_", "FLASK_"))
    }
    path = os.pathsep.join((str(Path(sys.executable).parent), kept.get("PATH", "")))
    return {**kept, "PATH": path, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), **settings}


def send(port: int, method: str, target: str, body: object = None, token: str | None = None, **headers: str) -> Answer:
    """Send one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            told.setdefault("Content-Type", "application/json")
        if token is not None:
            told["Authorization"] = f"Bearer {token}"
        connection.request(method, target, data, told)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def visit(port: int, name: str, scheme: str) -> None:
    """What one member does, wrong passwords and old tokens too."""
    ask: Callable[..., Answer] = partial(send, port)
    assert ask("POST", "/members", {"name": name, "password": PASSWORD, "scheme": scheme})[0] == 201
    assert ask("POST", "/tokens", {"name": name, "password": "wrong"})[0] == 401
    status, body = ask("POST", "/tokens", {"name": name, "password": PASSWORD})
    assert status == 200, body
    token = json.loads(body)["token"]
    old = jwt.encode({"sub": name, "exp": datetime.now(UTC) - timedelta(hours=1)}, SECRET, "HS256")
    assert ask("GET", "/orders")[0] == 401
    assert ask("GET", "/orders", token=old)[0] == 401
    assert ask("GET", "/orders", token=token[:-3] + "xyz")[0] == 401
    for amount in (len(name), 700):
        assert ask("POST", "/orders", {"amount": amount}, token)[0] == 201
    status, body = ask("GET", "/orders", token=token)
    assert (status, [one["amount"] for one in json.loads(body)]) == (200, [len(name), 700])
    data = bytes(range(256)) * 20 + name.encode()
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="picture.png"\r\n\r\n'
    form = {"Content_Type": "multipart/form-data; boundary=edge"}
    status, body = ask("POST", "/files", head + data + b"\r\n--edge--\r\n", token, **form)
    assert status == 201, body
    assert ask("GET", f"/files/{json.loads(body)['id']}", token=token) == (200, data)
    assert ask("GET", "/statement", token=token)[1].endswith(f"/statement/{name} line 49\n".encode())


@pytest.fixture(scope="module", params=COMMANDS)
def recorded(
    request: pytest.FixtureRequest, mongo_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tuple[str, ...], Path, str]:
    """The app's command, the folder of its recording and the bank's URL: members who come one by one, then together."""
    command, folder = COMMANDS[request.param], tmp_path_factory.mktemp(request.param)
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        client.drop_database(f"timetracer_members_{request.param}")
    with serving(_Bank) as url:
        port = free_port()
        env = environment(folder, MONGODB_URI=mongo_uri, BANK_URL=url, TIMETRACER_DIR=str(folder / "cassettes"))
        ours = ["opentelemetry-instrument", "--traces_exporter", "timetracer"]
        log = folder / "record.log"
        with Program([*ours, *started(command, port)], log=log, env=env, cwd=HERE) as program:
            program.wait_for_port(port)
            for number, name in enumerate(NAMES):
                visit(port, name, ("argon2", "bcrypt")[number % 2])
            with ThreadPoolExecutor(len(NAMES)) as pool:
                visits = [pool.submit(visit, port, f"{name}-too", "bcrypt") for name in NAMES]
                assert [one.result() for one in visits] == [None] * len(NAMES), log.read_text()
            program.stop()
    return command, folder, url


def started(command: tuple[str, ...], port: int) -> list[str]:
    """A command on a port."""
    return [word.format(port=port) for word in command]


@pytest.mark.parametrize("concurrency", [1, 50])
def test_it_verifies_where_it_was_recorded(
    recorded: tuple[tuple[str, ...], Path, str], concurrency: int, tmp_path: Path
) -> None:
    """No option, no key to give: every answer and every call is as it was."""
    command, folder, url = recorded
    report = tmp_path / "report.json"
    options = ["--verify", str(folder / "cassettes"), "--report", str(report), "--concurrency", str(concurrency)]
    env = environment(folder, MONGODB_URI="mongodb://127.0.0.1:9/", BANK_URL=url)
    run = ["timetracer-replay", *options, "--", *started(command, 0)]
    ended = subprocess.run(run, cwd=HERE, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(json.loads(report.read_bytes())["verified"]) == REQUESTS * len(NAMES) * 2


def test_no_secret_is_in_the_recording(recorded: tuple[tuple[str, ...], Path, str]) -> None:
    """Neither a token that opens the shop, nor a header that carries one."""
    _, folder, _ = recorded
    written = b"".join(file.read_bytes() for file in (folder / "cassettes").rglob("*.jsonl*") if file.is_file())
    assert b"Bearer eyJ" not in written
