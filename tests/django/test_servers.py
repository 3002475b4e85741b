"""A Django project recorded behind real servers, its database deleted, verified by the real command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from examples.support import Program, free_port
from tests.support.commands import OTEL, REPLAY

HERE = Path(__file__).parent
SERVERS = {
    "gunicorn": ("gunicorn", "--bind", "127.0.0.1:{port}", "--threads", "4", "project:wsgi"),
    "uvicorn": ("uvicorn", "--port", "{port}", "project:asgi"),
    "daphne": ("daphne", "-p", "{port}", "project:asgi"),
    "runserver": (sys.executable, "manage.py", "runserver", "{port}"),
}
"""Of each kind of handler; the last one reloads by itself, in a child."""
ASKED = 13


def environment(**settings: str) -> dict[str, str]:
    """Ours, the servers of this interpreter first."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return {**os.environ, "PATH": path, **settings}


def ask(port: int) -> list[tuple[int, str]]:
    """Ask for everything, as a browser that keeps its cookies; status and text of each answer."""
    answers: list[tuple[int, str]] = []
    with requests.Session() as browser:

        def send(method: str, path: str, data: Any = None, token: str = "") -> str:
            answer = browser.request(
                method, f"http://127.0.0.1:{port}/{path}", data=data, headers={"X-CSRFToken": token} if token else {}
            )
            answers.append((answer.status_code, answer.text))
            return answer.text

        member = {"name": "ada", "password": "analytical"}
        found = re.search(r'"token": "(\w+)"', send("POST", "join", member))
        assert found is not None
        for text in ("tea", "milk", "tea"):
            send("POST", "write", {"text": text}, found[1])
        send("POST", "write", {"text": "forged"})
        send("POST", "enter", {**member, "password": "wrong"})
        send("POST", "enter", member)
        for path in ("notes", "later", "threaded", "fail"):
            send("GET", path)
        send("POST", "rest", {"a": "1"})
        send("POST", "digest", b"\0" * 300_000)
    return answers


def wait_for_lanes(cassettes: Path) -> None:
    """Wait until all is written: the server of development is ended in the middle of what it does."""
    until = time.monotonic() + 60
    while len(list(cassettes.rglob("[GP]*.jsonl"))) < ASKED and time.monotonic() < until:
        time.sleep(0.05)


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """Each server."""
    return str(request.param)


@pytest.fixture(scope="module")
def cassettes(tmp_path_factory: pytest.TempPathFactory, server: str) -> Iterator[Path]:
    """What the project recorded behind a server; its database is gone."""
    folder = tmp_path_factory.mktemp("django")
    database, port = folder / "notes.sqlite3", free_port()
    env = environment(NOTES=str(database), TIMETRACER_DIR=str(folder / "cassettes"))
    words = [*OTEL, "--traces_exporter", "timetracer", *(word.format(port=port) for word in SERVERS[server])]
    with Program(words, log=folder / "log", env=env, cwd=HERE) as program:
        program.wait_for_port(port)
        answers = ask(port)
        wait_for_lanes(folder / "cassettes")
        program.stop()
    assert [status for status, _ in answers] == [200, 200, 200, 409, 403, 403, 200, 200, 200, 200, 500, 200, 200]
    database.unlink()
    yield folder / "cassettes"
    assert not database.exists()


def verify(server: str, cassettes: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Verify the recording behind the same server, with a database file that cannot be made."""
    port = free_port()
    words = [*REPLAY, "--verify", str(cassettes), "--", *(word.format(port=port) for word in SERVERS[server])]
    env = environment(NOTES="/nowhere/notes.sqlite3", **settings)
    return subprocess.run(words, cwd=HERE, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.system
def test_unchanged_project_passes(server: str, cassettes: Path) -> None:
    """Log-in, tokens, transactions, streams, threads, async views: each request gets its own rows and ids."""
    ended = verify(server, cassettes)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{ASKED} checked, {ASKED} passed, 0 differ" in ended.stdout


@pytest.mark.system
def test_changed_query_is_named(server: str, cassettes: Path) -> None:
    """Another limit makes another statement."""
    ended = verify(server, cassettes, LIMIT="1")
    assert ended.returncode == 1
    assert "DIFFERS GET /notes" in ended.stdout


def test_a_program_without_django_does_not_import_it(tmp_path: Path) -> None:
    """Though the instrumentor is installed: its settings, not configured, would keep gevent from patching."""
    program = tmp_path / "program.py"
    program.write_text("import sys, gevent.monkey\ngevent.monkey.patch_all()\nprint('django.conf' in sys.modules)\n")
    words = [*OTEL, "--traces_exporter", "timetracer", sys.executable, str(program)]
    env = environment(TIMETRACER_DIR=str(tmp_path / "cassettes"))
    ended = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout == "False\n"


@pytest.mark.system
@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"], scope="module")
def test_a_project_that_is_not_recorded_runs(tmp_path: Path, server: str) -> None:
    """The launcher's instrumentor waits for the project's settings in mode off as well, and its spans are there."""
    port = free_port()
    env = environment(NOTES=str(tmp_path / "notes.sqlite3"), TIMETRACER_MODE="off", OTEL_BSP_SCHEDULE_DELAY="50")
    words = [*OTEL, "--traces_exporter", "console", *(word.format(port=port) for word in SERVERS[server])]
    with Program(words, log=tmp_path / "log", env=env, cwd=HERE) as program:
        program.wait_for_port(port)
        answer = requests.post(f"http://127.0.0.1:{port}/digest", data=b"abc", timeout=60)
        until = time.monotonic() + 60
        while "SpanKind.SERVER" not in (tmp_path / "log").read_text() and time.monotonic() < until:
            time.sleep(0.05)
        program.stop()
    assert (answer.status_code, answer.text) == (200, "3")
    assert "SpanKind.SERVER" in (tmp_path / "log").read_text()


@pytest.mark.system
@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"], scope="module")
def test_the_middleware_is_enough(tmp_path: Path, server: str) -> None:
    """Named in the settings it records, in processes that nothing else has set up."""
    port = free_port()
    env = environment(
        NOTES=str(tmp_path / "notes.sqlite3"),
        FIRST_MIDDLEWARE="timetracer_otel.integrations.django.TimeTracerMiddleware",
        TIMETRACER_DIR=str(tmp_path / "cassettes"),
        TIMETRACER_MODE="record",
    )
    words = [word.format(port=port) for word in SERVERS[server]]
    with Program(words, log=tmp_path / "log", env=env, cwd=HERE) as program:
        program.wait_for_port(port)
        ask(port)
        wait_for_lanes(tmp_path / "cassettes")
        program.stop()
    assert len(list((tmp_path / "cassettes").rglob("[GP]*.jsonl"))) == ASKED
