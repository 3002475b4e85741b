"""What a Django process keeps for all requests: one that was recorded when it was known is replayed alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import OTEL, REPLAY
from tests.support.mysql import MysqlServer
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.system

PROGRAM = (sys.executable, str(Path(__file__).with_name("kept.py")))
KIND, MADE = "contenttype@example.com;", "contenttype@example.com 1 2;"


@pytest.fixture(scope="module", params=["sqlite3", "postgresql", "mysql"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder of three requests, two of which another one had spared a question, and where no database is."""
    scheme, folder = request.param, tmp_path_factory.mktemp(request.param)
    if scheme == "sqlite3":
        record(folder, f"sqlite3:///{folder}/kept.sqlite3")
        return folder, "sqlite3:////nowhere/kept.sqlite3"
    server: PostgresServer | MysqlServer = PostgresServer() if scheme == "postgresql" else MysqlServer()
    server.start()
    try:
        record(folder, f"{scheme}://{server.dsn.partition('://')[2]}")
    finally:
        server.stop()
        server.remove()
    return folder, f"{scheme}://some:body@db.nowhere.example:6543/none"


def record(folder: Path, url: str) -> None:
    """Send the requests to one process."""
    run(folder, url, *PROGRAM, "migrate")
    assert run(folder, url, *OTEL, "--traces_exporter", "timetracer", *PROGRAM, "kind", "made", "kind").stdout == (
        KIND + MADE + KIND
    )


def run(folder: Path, url: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    env = {**os.environ, "DATABASE_URL": url, "TIMETRACER_DIR": str(folder / "cassettes")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_a_request_is_replayed_alone(recorded: tuple[Path, str]) -> None:
    """Its process has not asked yet; the answer leaves the transaction in which it asks as it is."""
    folder, nowhere = recorded
    (lane,) = (folder / "cassettes").rglob("GET__made__*.jsonl")
    done = run(folder, nowhere, *REPLAY, str(lane), "--", *PROGRAM, "made")
    assert done.stdout == MADE
    assert "0 missed, 0 unused" in done.stderr


def test_requests_are_replayed_in_another_order(recorded: tuple[Path, str]) -> None:
    """The one that asked need not, and the other one may."""
    folder, nowhere = recorded
    done = run(folder, nowhere, *REPLAY, str(folder / "cassettes"), "--", *PROGRAM, "made", "kind", "kind")
    assert done.stdout == MADE + KIND + KIND
    assert "0 missed" in done.stderr
