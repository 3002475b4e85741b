"""What programs do with psycopg 3 is the same recorded, and replayed with the server gone: values and types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import generators

from tests.postgres.psycopg_scenarios import SCENARIOS
from tests.support.postgres import PostgresServer
from tests.support.recordings import assert_nothing_changes, recorded_each

pytestmark = pytest.mark.system

ELSEWHERE = "postgresql://somebody:else@db.nowhere.example:6543/warehouse?sslmode=require"


@pytest.fixture(scope="module")
def recorded(installed: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """What each scenario saw while it was recorded, and the recording. The server is gone."""
    return recorded_each(installed, installed.dsn, SCENARIOS, tmp_path_factory.mktemp)


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_changes(name: str, recorded: dict[str, tuple[Any, Path]]) -> None:
    """Replayed with another host, port, user, database and TLS mode a program sees what it saw."""
    before = psycopg.Connection.connect, generators.execute
    assert_nothing_changes(SCENARIOS[name], ELSEWHERE, recorded[name])
    assert (psycopg.Connection.connect, generators.execute) == before


def test_whether_a_connection_lives_is_no_call(installed: PostgresServer, tmp_path: Path) -> None:
    """Pools ask that with an empty statement: a cold one asks more often than a warm one, or not at all."""

    def ask(dsn: str, pings: int) -> Any:
        with psycopg.connect(dsn) as connection:
            pinged = [connection.execute(nothing).statusmessage for nothing in ("", ";") * pings]
            return set(pinged), connection.execute("SELECT 1 + 1").fetchone()

    def elsewhere(pings: int) -> Any:
        return ask(ELSEWHERE, pings)

    recorded = recorded_each(installed, installed.dsn, {"pings": lambda dsn: ask(dsn, 2)}, lambda _name: tmp_path)
    for pings in (1, 5):
        assert_nothing_changes(elsewhere, pings, recorded["pings"])
