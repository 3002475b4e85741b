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
