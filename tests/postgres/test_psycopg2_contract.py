"""What programs do with psycopg2 is the same recorded, and replayed with the server gone: values and types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import extensions

from tests.postgres.psycopg2_scenarios import SCENARIOS
from tests.support.postgres import PostgresServer
from tests.support.recordings import assert_nothing_changes, recorded_each

pytestmark = pytest.mark.system

ELSEWHERE = "postgresql://somebody:else@db.nowhere.example:6543/warehouse?sslmode=require"


def names() -> list[Any]:
    """What a recording and a replay put something else in the places of."""
    return [psycopg2._connect, *vars(extensions.cursor).values(), *vars(extensions.connection).values()]


@pytest.fixture(scope="module")
def recorded(installed: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """What each scenario saw while it was recorded, and the recording. The server is gone."""
    return recorded_each(installed, installed.dsn, SCENARIOS, tmp_path_factory.mktemp)


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_changes(name: str, recorded: dict[str, tuple[Any, Path]]) -> None:
    """Replayed with another host, port, user, database and TLS mode a program sees what it saw."""
    before = names()
    assert_nothing_changes(SCENARIOS[name], ELSEWHERE, recorded[name])
    assert all(mine is theirs for mine, theirs in zip(names(), before, strict=True))
    assert extensions.get_wait_callback() is None  # else all connections of the process would do without COPY
