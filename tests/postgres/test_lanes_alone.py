"""A request is replayed alone, by a process that has not asked the server yet what an earlier one had asked for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.alone import assert_each_is_verified_alone
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.system


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_each_request_is_verified_alone(driver: str, installed: PostgresServer, tmp_path: Path) -> None:
    """SQLAlchemy asks at its first connection, in a transaction of its own: that is the first request's."""
    assert_each_is_verified_alone(f"postgresql+{driver}", installed, tmp_path)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_a_pool_may_see_whether_a_connection_lives(driver: str, installed: PostgresServer, tmp_path: Path) -> None:
    """It asks that of one that has waited: the first request of a process does not."""
    assert_each_is_verified_alone(f"postgresql+{driver}", installed, tmp_path, PRE_PING="yes")
