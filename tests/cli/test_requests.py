"""``timetracer send`` and ``timetracer show --curl``: a recorded request made again."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from examples.support import Program, free_port
from tests.cli.conftest import Recording, run
from tests.support.commands import OTEL, REPLAY

BODIES = {
    "text": b'{"it\'s": "\xc3\xa9", "n": 1}',
    "at": b"@file",
    "binary": bytes(range(256)),
    "empty": b"",
    "long": b"x" * 200_000,
}


class _Echo(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    def do_PUT(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        self.server.got = (self.path, dict(self.headers), self.rfile.read(size))  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def do_HEAD(self) -> None:
        self.server.got = (self.path, dict(self.headers), b"")  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "9")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base class
        """Quiet."""


@pytest.fixture
def echo() -> Iterator[ThreadingHTTPServer]:
    """A server that keeps the last request."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("form", ["curl", "python"])
def test_what_is_printed_makes_the_request(form: str, body: bytes, echo: ThreadingHTTPServer, tmp_path: Path) -> None:
    """Run, it sends method, target, headers and body as they were recorded, and no more."""
    recording, target = Recording(), "/a/../x?q=a%20b&c[]={d,e}"
    headers = [("X-Odd", "a 'b' \"c\" $d"), ("Cookie", "a=1; b=2"), ("Content-Length", str(len(body)))]
    recording.entry("PUT", target, 204, request=body, response=b"", headers=[("Host", "shop.test:80"), *headers])
    file = recording.write(tmp_path / "put.jsonl")
    shown = run("show", file, f"--{form}", "--url", f"http://127.0.0.1:{echo.server_port}")
    assert shown.returncode == 0, shown.stderr
    program = "bash" if form == "curl" else sys.executable
    subprocess.run([program], input=shown.stdout, text=True, check=True, timeout=60, capture_output=True)
    path, sent, got = echo.got  # type: ignore[attr-defined]
    assert (path, got) == (target, body)
    assert sent == {"Host": f"127.0.0.1:{echo.server_port}", **dict(headers)}


def test_what_is_printed_ends_without_a_body(echo: ThreadingHTTPServer, tmp_path: Path) -> None:
    """Curl would wait for that of a HEAD, whose length is announced."""
    recording = Recording()
    recording.entry("HEAD", "/x", 200, response=b"", headers=[("Host", f"127.0.0.1:{echo.server_port}")])
    shown = run("show", recording.write(tmp_path / "head.jsonl"), "--curl")
    subprocess.run(["bash"], input=shown.stdout, text=True, check=True, timeout=60, capture_output=True)
    assert echo.got[0] == "/x"  # type: ignore[attr-defined]


def test_httpie_gets_the_same_parts(tmp_path: Path) -> None:
    """As its command line has them."""
    recording = Recording()
    headers = [("Host", "shop:8000"), ("X-A", "1"), ("X-B", "=b"), ("Accept", "*/*"), ("User-Agent", "me")]
    recording.entry("POST", "/x", 200, request=b"{}", response=b"", headers=headers)
    shown = run("show", recording.write(tmp_path / "post.jsonl"), "--httpie")
    assert shlex.split(shown.stdout) == [
        "http", "--ignore-stdin", "POST", "http://shop:8000/x", "X-A:1", "X-B:\\=b", "Accept:*/*", "User-Agent:me",
        "Accept-Encoding:", "Content-Type:", "--raw", "{}",
    ]  # fmt: skip


APP = """
import secrets
from flask import Flask, request
app = Flask(__name__)
@app.post("/login")
def login():
    return {"token": secrets.token_hex(8), "key": request.headers["X-Api-Key"], "who": request.json["who"]}
"""


def ask(port: int) -> str:
    """Log in; the response's body."""
    url = f"http://127.0.0.1:{port}/login"
    response = requests.post(url, json={"who": "ann"}, headers={"X-Api-Key": "k-123"}, timeout=30)
    response.raise_for_status()
    return response.text


@pytest.mark.system
def test_sent_to_a_replay(tmp_path: Path) -> None:
    """The recorded request, its secret too, follows its lane: the answer is the recorded one; nobody there is said."""
    (tmp_path / "shop.py").write_text(APP)
    port = free_port()
    serve = [sys.executable, "-m", "flask", "--app", "shop", "run", "--port", str(port)]
    env = {**os.environ, "TIMETRACER_DIR": str(tmp_path / "cassettes")}
    with Program(
        [*OTEL, "--traces_exporter", "timetracer", *serve], log=tmp_path / "log", env=env, cwd=tmp_path
    ) as app:
        app.wait_for_port(port)
        recorded = ask(port)
    nobody = run("send", cwd=tmp_path, **env)
    assert (nobody.returncode, len(nobody.stderr.splitlines())) == (2, 1)
    assert f"no answer from http://127.0.0.1:{port}" in nobody.stderr
    replay = [*REPLAY, str(tmp_path / "cassettes"), "--", *serve]
    with Program(replay, log=tmp_path / "replay.log", env=env, cwd=tmp_path) as app:
        app.wait_for_port(port)
        sent = run("send", cwd=tmp_path, **env)
    assert sent.returncode == 0, sent.stderr
    assert sent.stdout.startswith("200 OK")
    assert recorded.strip() in sent.stdout
    assert sent.stdout.endswith("as recorded\n")


def test_what_is_no_request_is_not_sent(tmp_path: Path) -> None:
    """Two requests need an id, a script cannot be sent; each is one line and status 2."""
    both = [Recording(1), Recording(2)]
    for number, recording in enumerate(both):
        recording.entry("GET", "/x", 200, request=b"", response=b"")
        recording.write(tmp_path / f"{number}.jsonl")
    for command in (["send"], ["show", "--curl"]):
        done = run(command[0], tmp_path, *command[1:])
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert "holds 2 requests: give --lane ID" in done.stderr
    bad = run("send", tmp_path / "0.jsonl", "--url", "ftp://x")
    assert (bad.returncode, "give http://HOST:PORT" in bad.stderr) == (2, True)
