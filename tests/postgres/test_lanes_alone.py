"""A request is replayed alone, by a process that has not asked the server yet what an earlier one had asked for it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.support.commands import OTEL, REPLAY
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.system

HERE = Path(__file__).parent
SERVED = (sys.executable, "-m", "flask", "--app", "sqlalchemy_app", "run", "--port")


def url(dsn: str, driver: str) -> str:
    """A database as SQLAlchemy names it."""
    return dsn.replace("postgresql://", f"postgresql+{driver}://")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_each_request_is_verified_alone(driver: str, installed: PostgresServer, tmp_path: Path) -> None:
    """SQLAlchemy asks at its first connection, in a transaction of its own: that is the first request's."""
    port = free_port()
    installed.start()
    try:
        env = {**os.environ, "DATABASE_URL": url(installed.dsn, driver), "TIMETRACER_DIR": str(tmp_path / "cassettes")}
        subprocess.run([sys.executable, "sqlalchemy_app.py"], cwd=HERE, env=env, check=True, timeout=60)
        command = [*OTEL, "--traces_exporter", "timetracer", *SERVED, str(port)]
        with Program(command, log=tmp_path / "log", env=env, cwd=HERE) as program:
            program.wait_for_port(port)
            asks = [Ask("POST", "/notes", {"text": "first"}), Ask("GET", "/notes/1")]
            asks += [Ask("POST", "/notes", {"text": "second"}), Ask("GET", "/notes/2")]
            assert [ask.send(port).status for ask in asks] == [200] * 4
            with ThreadPoolExecutor(4) as pool:
                assert [one.status for one in pool.map(lambda ask: ask.send(port), asks[1::2] * 6)] == [200] * 12
    finally:
        installed.stop()
    env["DATABASE_URL"] = url("postgresql://somebody:else@db.nowhere.example:6543/warehouse", driver)
    lanes = [*(tmp_path / "cassettes").rglob("POST__*.jsonl"), *(tmp_path / "cassettes").rglob("GET__*.jsonl")]
    assert len(lanes) == 16
    for chosen, concurrency in ((lanes, 1), (lanes, 8), *(([lane], 1) for lane in lanes[:6])):
        words = [*REPLAY, "--verify", *map(str, chosen), "--concurrency", str(concurrency), "--", *SERVED, "0"]
        done = subprocess.run(words, cwd=HERE, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{len(chosen)} checked, {len(chosen)} passed" in done.stdout
