"""Apps on PostgreSQL: recorded, the server stopped, replayed and verified elsewhere by the real commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.support.commands import OTEL, REPLAY, TIMETRACER
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.system

HERE = Path(__file__).parent
APPS = {
    "asyncpg": (sys.executable, "-m", "uvicorn", "fastapi_app:app", "--port"),
    "psycopg": (sys.executable, "-m", "flask", "--app", "flask_app", "run", "--port"),
    "psycopg2": (sys.executable, "-m", "flask", "--app", "flask_psycopg2_app", "run", "--port"),
}
BUYERS = ("ann", "bob", "cid")
SECRET = "correct-horse-battery-staple-7"
ELSEWHERE = "postgresql://somebody:else@db.nowhere.example:6543/warehouse"
ALIKE = 50


def environment(dsn: str, **settings: str) -> dict[str, str]:
    """Ours, with the app's database."""
    return {**os.environ, "DATABASE_URL": dsn, **settings}


@pytest.fixture(scope="module", params=APPS)
def recording(
    request: pytest.FixtureRequest, installed: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """An app's name, and its cassettes. The server is gone."""
    name, folder, port = str(request.param), tmp_path_factory.mktemp("shop"), free_port()
    installed.start()
    try:
        env = environment(installed.dsn, TIMETRACER_DIR=str(folder / "cassettes"))
        command = [*OTEL, "--traces_exporter", "timetracer", *APPS[name], str(port)]
        with Program(command, log=folder / "log", env=env, cwd=HERE) as program:
            program.wait_for_port(port)
            asks = [
                Ask("POST", "/orders", {"buyer": buyer, "items": [f"{buyer}'s tea", "milk"], "password": SECRET})
                for buyer in BUYERS
            ]
            asks += [Ask("GET", f"/orders?buyer={buyer}") for buyer in BUYERS] + [Ask("GET", "/broken")]
            assert [ask.send(port).status for ask in asks] == [200] * len(asks)
            alike = [Ask("POST", "/orders", {"buyer": "same", "items": ["tea"]})] * ALIKE
            with ThreadPoolExecutor(10) as pool:
                assert [answer.status for answer in pool.map(lambda ask: ask.send(port), alike)] == [200] * ALIKE
    finally:
        installed.stop()
    return name, folder / "cassettes"


def verify(recording: tuple[str, Path], *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the verification, with a database that is nowhere."""
    name, cassettes = recording
    words = [*REPLAY, "--verify", str(cassettes), *options, "--", *APPS[name], "0"]
    env = environment(ELSEWHERE, **settings)
    return subprocess.run(words, cwd=HERE, env=env, capture_output=True, text=True, timeout=180, check=False)


def test_unchanged_app_passes(recording: tuple[str, Path]) -> None:
    """Also where many requests that are alike come at once: each gets its own ids and rows."""
    ended = verify(recording, "--concurrency", "10")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{7 + ALIKE} checked, {7 + ALIKE} passed, 0 differ" in ended.stdout


def test_a_refactored_app_passes(recording: tuple[str, Path]) -> None:
    """What is written by other functions, with more to log, is the same."""
    ended = verify(recording, CHANGE="refactored")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_request_passes_alone(recording: tuple[str, Path]) -> None:
    """A lane of a pool that was warm is verified by itself, on one that is cold."""
    name, cassettes = recording
    latest = max(cassettes.rglob("GET__orders*.jsonl"), key=lambda file: file.stat().st_mtime_ns)
    ended = verify((name, latest))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 checked, 1 passed, 0 differ" in ended.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("limit", "changed postgresql SELECT lines: $.parameters.price: "),
        ("dropped", "missing postgresql INSERT lines"),
        ("extra", "extra postgresql UPDATE orders"),
        ("other id", "changed postgresql SELECT orders: $.parameters.id: "),
        ("swapped", "reordered postgresql INSERT audit before postgresql INSERT lines"),
        ("table", "extra postgresql INSERT draft"),
        ("lost commit", "missing postgresql COMMIT"),
    ],
)
def test_a_change_is_named(recording: tuple[str, Path], change: str, said: str) -> None:
    """A changed parameter, a write that is missing or new, another row: each is told by its statement."""
    ended = verify(recording, CHANGE=change)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert said in ended.stdout


def show(file: Path) -> str:
    """What ``timetracer show`` prints of a cassette."""
    words = [*TIMETRACER, "show", str(file)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout


def test_calls_are_shown(recording: tuple[str, Path]) -> None:
    """``timetracer show`` prints statements, parameters by column, rows, counts and errors; secrets it does not."""
    files = [file for file in sorted(recording[1].rglob("*.jsonl")) if not file.is_symlink()]
    posted = next(shown for file in files if "ann" in (shown := show(file)) and file.name.startswith("POST__orders"))
    failed = next(show(file) for file in files if file.name.startswith("GET__broken"))
    for text in ("INSERT INTO orders (code, buyer, password)", "ann's tea", "INSERT 0 1", "affected", "columns"):
        assert text in posted
    for text in ("23503", "lines_order_id_fkey", "sqlstate"):
        assert text in failed


def test_a_password_is_in_no_call(recording: tuple[str, Path]) -> None:
    """What is bound to a column called password is sealed, in whatever form it is sent."""
    seen = 0
    for file in recording[1].rglob("POST__orders*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            for call in _calls(json.loads(line)):
                seen += b"INSERT INTO orders" in call
                assert SECRET.encode() not in call
    assert seen >= len(BUYERS) + ALIKE


def _calls(line: dict[str, Any]) -> Iterator[bytes]:
    """The attributes of each call in a line, as they are and decoded."""
    for resource in line["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                if span["kind"] == 3:
                    texts = [str(one["value"].get("stringValue", "")) for one in span["attributes"]]
                    yield b"\n".join(_decoded(text) for text in texts if len(text) < 5000)


def _decoded(text: str) -> bytes:
    try:
        return text.encode() + b64decode(text, validate=True)
    except ValueError:
        return text.encode()
