"""Apps that send mails, recorded; the mail server gone; verified by the real command."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.smtp.mail_server import serving
from tests.support.commands import OTEL, REPLAY

HERE = Path(__file__).parent
ASKED = {
    "flask_app:app": [
        *(Ask("POST", "/reset", {"to": f"{who}@example.com"}) for who in ("bob", "carol", "refused")),
        *(Ask("POST", f"/news/{number}") for number in range(5)),
    ],
    "django_app:application": [Ask("GET", "/welcome?to=bob@example.com"), Ask("GET", "/report")],
}

pytestmark = pytest.mark.system


def command(app: str, port: int) -> list[str]:
    """Serve an app."""
    return [sys.executable, "-m", "gunicorn", "--threads", "4", "--bind", f"127.0.0.1:{port}", app]


@pytest.fixture(scope="module", params=ASKED)
def recorded(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[str, Path]:
    """Requests at once; the app, and its cassettes."""
    folder, port, app = tmp_path_factory.mktemp("mails"), free_port(), request.param
    with serving() as server:
        env = {**os.environ, "SMTP": f"127.0.0.1:{server.port}", "TIMETRACER_DIR": str(folder / "cassettes")}
        words = [*OTEL, "--traces_exporter", "timetracer", *command(app, port)]
        with Program(words, log=folder / "log", env=env, cwd=HERE) as program:
            program.wait_for_port(port)
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda ask: ask.send(port), ASKED[app]))
            until = time.monotonic() + 60
            while len(lanes(folder)) < len(ASKED[app]) and time.monotonic() < until:
                time.sleep(0.05)  # a client has its response before the server has closed it
    assert len(server.mails) == {"flask_app:app": 7, "django_app:application": 2}[app]
    return app, folder / "cassettes"


def lanes(folder: Path) -> list[Path]:
    """The lanes that were recorded."""
    return [path for path in folder.rglob("*.jsonl") if path.name.startswith(("GET__", "POST__"))]


def verify(app: str, cassettes: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the verification, with a mail server that is nowhere."""
    words = [*REPLAY, "--verify", str(cassettes), "--concurrency", "4", "--", *command(app, 0)]
    env = {**os.environ, "SMTP": "mail.example.net:25", **settings}
    return subprocess.run(words, cwd=HERE, env=env, capture_output=True, text=True, timeout=240, check=False)


def test_unchanged_apps_pass(recorded: tuple[str, Path]) -> None:
    """With the recorded tokens, ids and dates."""
    ended = verify(*recorded)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{len(ASKED[recorded[0]])} passed, 0 differ" in ended.stdout


@pytest.mark.parametrize("recorded", ["flask_app:app"], indirect=True)
def test_each_request_stands_alone(recorded: tuple[str, Path]) -> None:
    """Also one that sent its mail by a connection which another had opened."""
    lane = next(one for one in lanes(recorded[1]) if "smtp CONNECT" not in one.read_text())
    ended = verify(recorded[0], lane)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_changed_mail_is_named(recorded: tuple[str, Path]) -> None:
    """By what changed in it."""
    ended = verify(*recorded, SUBJECT="Changed")
    assert ended.returncode == 1
    assert "changed smtp send" in ended.stdout
    assert "headers.Subject" in ended.stdout
    assert "'Changed' now" in ended.stdout
