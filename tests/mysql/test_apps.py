"""Apps on MySQL: recorded, the server stopped, replayed and verified elsewhere by the real commands."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.support.commands import OTEL, REPLAY, TIMETRACER
from tests.support.mysql import PASSWORD, MysqlServer

pytestmark = pytest.mark.system

HERE = Path(__file__).parent
APPS = {"pymysql": (sys.executable, "-m", "flask", "--app", "flask_app", "run", "--port")}
BUYERS = ("ann", "bob", "cid")
SECRET = "correct-horse-battery-staple-7"
ELSEWHERE = "mysql://somebody:else@db.nowhere.example:6543/warehouse"
ALIKE = 50


@pytest.fixture(scope="module", params=APPS)
def recording(
    request: pytest.FixtureRequest, installed: MysqlServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """An app's name, and its cassettes. The server is gone."""
    name, folder, port = str(request.param), tmp_path_factory.mktemp("shop"), free_port()
    installed.start()
    try:
        env = {**os.environ, "MYSQL_URL": installed.dsn, "TIMETRACER_DIR": str(folder / "cassettes")}
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
    env = {**os.environ, "MYSQL_URL": ELSEWHERE, **settings}
    return subprocess.run(words, cwd=HERE, env=env, capture_output=True, text=True, timeout=180, check=False)


def test_unchanged_app_passes(recording: tuple[str, Path]) -> None:
    """Also where many requests that are alike come at once: each gets its own ids and rows."""
    ended = verify(recording, "--concurrency", "10")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{7 + ALIKE} checked, {7 + ALIKE} passed, 0 differ" in ended.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("limit", "changed mysql SELECT lines: $.parameters.price: "),
        ("dropped", "missing mysql INSERT lines"),
        ("extra", "extra mysql UPDATE orders"),
        ("other id", "changed mysql SELECT orders: $.parameters.id: "),
        ("lost", "missing mysql COMMIT"),
    ],
)
def test_a_change_is_named(recording: tuple[str, Path], change: str, said: str) -> None:
    """A changed value, a write that is missing or new, another row, a lost commit: each is told by its statement."""
    ended = verify(recording, CHANGE=change)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert said in ended.stdout


def show(file: Path) -> str:
    """What ``timetracer show`` prints of a cassette."""
    words = [*TIMETRACER, "show", str(file)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout


def test_calls_are_shown(recording: tuple[str, Path]) -> None:
    """``timetracer show`` prints statements, values by column, rows, counts and errors; secrets it does not."""
    files = [file for file in sorted(recording[1].rglob("*.jsonl")) if not file.is_symlink()]
    posted = next(shown for file in files if file.name.startswith("POST") and "ann's tea" in (shown := show(file)))
    failed = next(show(file) for file in files if file.name.startswith("GET__broken"))
    for text in ("INSERT INTO orders (code, buyer, password)", "affected", "columns", "last id", "in_transaction"):
        assert text in posted
    for text in ("1452", "line_of_order", "23000", "sqlstate"):
        assert text in failed


def test_a_password_is_in_no_cassette(recording: tuple[str, Path]) -> None:
    """What is given to a column called password is sealed in the calls; the log-in is nowhere."""
    calls = 0
    for file in recording[1].rglob("*.jsonl"):
        text = file.read_text(encoding="utf-8")
        assert PASSWORD not in text
        calls += text.count("INSERT INTO orders (code, buyer, password) VALUES (")
        for part in text.split("INSERT INTO orders (code, buyer, password) VALUES (")[1:]:
            assert SECRET not in part.partition('"}')[0]
    assert calls >= len(BUYERS) + ALIKE
