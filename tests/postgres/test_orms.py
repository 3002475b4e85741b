"""What programs do with object mappers on PostgreSQL is the same recorded, and replayed with the server gone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.mappers import by_alembic, by_pony, by_sqlmodel, by_tortoise
from tests.support.orm import orm_async
from tests.support.postgres import PostgresServer
from tests.support.recordings import assert_nothing_changes, recorded_each

pytestmark = pytest.mark.system

ELSEWHERE = "postgresql://somebody:else@db.nowhere.example:6543/warehouse"


def by(driver: str, dsn: str) -> str:
    """Say where a database is, and by which driver."""
    return dsn.replace("postgresql://", f"{driver}://")


def pony(dsn: str) -> Any:
    """Pony on psycopg2."""
    at = urlsplit(dsn)
    return by_pony(
        "postgres", host=at.hostname, port=at.port, user=at.username, password=at.password, dbname=at.path[1:]
    )


PROGRAMS: dict[str, Any] = {
    "tortoise_asyncpg": lambda dsn: by_tortoise(by("asyncpg", dsn)),
    "sqlmodel_psycopg": lambda dsn: by_sqlmodel(by("postgresql+psycopg", dsn)),
    "pony_psycopg2": pony,
    "alembic_psycopg": lambda dsn: by_alembic(by("postgresql+psycopg", dsn)),
    "sqlalchemy_psycopg_async": lambda dsn: asyncio.run(orm_async(by("postgresql+psycopg_async", dsn))),
}


@pytest.fixture(scope="module")
def recorded(installed: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """What each program saw while it was recorded, and the recording. The server is gone."""
    return recorded_each(installed, installed.dsn, PROGRAMS, tmp_path_factory.mktemp)


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_changes(name: str, recorded: dict[str, tuple[Any, Path]]) -> None:
    """Replayed with another host, port, user and database a program sees what it saw."""
    assert_nothing_changes(PROGRAMS[name], ELSEWHERE, recorded[name])
