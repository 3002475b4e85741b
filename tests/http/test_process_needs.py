"""Tokens and keys that a process gets at its first need and keeps: another request of it replays alone all the same."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.support.commands import OTEL, REPLAY
from timetracer_otel.families.http.process_needs import is_process_need

HERE = Path(__file__).parent
APP = (sys.executable, "-m", "gunicorn", "token_app:app", "-k", "gthread", "--threads", "4", "-w", "2")
TOKEN = "https://id.example/oauth/token"


@pytest.mark.parametrize(
    ("method", "url", "body", "kept"),
    [
        ("POST", TOKEN, b"grant_type=client_credentials&scope=a", True),
        ("POST", TOKEN, b"client_id=a&grant_type=refresh_token", True),
        ("POST", TOKEN, b'{"client_id": "a", "grant_type": "client_credentials"}', True),
        ("POST", TOKEN, b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=e", True),
        ("POST", TOKEN, b"grant_type=authorization_code&code=1", False),
        ("POST", TOKEN, b"grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=1", False),
        ("POST", TOKEN, b"no_grant_type=1", False),
        ("POST", TOKEN, b"", False),
        ("POST", "https://sts.amazonaws.com/", b"Action=AssumeRole&RoleArn=a", True),
        ("POST", "https://sqs.amazonaws.com/", b"Action=SendMessage", False),
        ("PUT", "http://169.254.169.254/latest/api/token", b"", True),
        ("GET", "https://id.example/.well-known/openid-configuration", b"", True),
        ("GET", "https://id.example/realms/shop/certs", b"", False),
        ("GET", "https://www.googleapis.com/oauth2/v3/certs", b"", True),
        ("GET", "https://shop.example/orders/7", b"", False),
        ("GET", "http://[::1/", b"", False),
    ],
)
def test_what_a_process_keeps_is_known_by_its_standard(method: str, url: str, body: bytes, *, kept: bool) -> None:
    """Nothing else is kept: what a request asks for itself is its own."""
    assert is_process_need(method, url, body) is kept


class _Api(BaseHTTPRequestHandler):
    """Gives a token to whoever asks, and answers with it only."""

    protocol_version = "HTTP/1.1"
    tokens: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        token = secrets.token_urlsafe()
        self.tokens.add(token)
        self._say(200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600})

    def do_GET(self) -> None:
        if self.path == "/.well-known/jwks.json":
            self._say(200, {"keys": [{"kty": "oct", "kid": "1"}]})
        else:
            known = self.headers.get("Authorization", "").removeprefix("Bearer ") in self.tokens
            self._say(200 if known else 401, {"price": secrets.randbelow(1000)})

    def _say(self, status: int, said: object) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[str]:
    """Its address, while it runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Api) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.system  # starts six programs
def test_a_request_that_found_a_token_replays_alone(api: str, tmp_path: Path) -> None:
    """As it does among the others, whichever comes first, in as many processes as there may be."""
    port, env = free_port(), {**os.environ, "API": api, "TIMETRACER_DIR": str(tmp_path)}
    command = [*OTEL, "--traces_exporter", "timetracer", *APP, "-b", f"127.0.0.1:{port}"]
    with Program(command, log=tmp_path / "log", env=env, cwd=HERE) as program:
        program.wait_for_port(port)
        assert {Ask("GET", f"/item/{number}").send(port).status for number in range(9)} == {200}
    lanes = sorted(tmp_path.rglob("GET__item*"))
    assert len(lanes) == 9
    for cassette, count, concurrency in ((tmp_path, 9, "8"), *((lane, 1, "1") for lane in lanes[:4])):
        said = _verified(cassette, concurrency)
        assert f"{count} checked, {count} passed, 0 differ" in said


def _verified(cassette: Path, concurrency: str) -> str:
    command = [*REPLAY, "--verify", str(cassette), "--concurrency", concurrency, "--", *APP, "-b", "127.0.0.1:0"]
    env = {**os.environ, "API": "http://gone.invalid"}
    ended = subprocess.run(command, cwd=HERE, env=env, capture_output=True, text=True, timeout=120, check=False)
    return ended.stdout + ended.stderr
