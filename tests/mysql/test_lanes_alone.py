"""A request is replayed alone, by a process that has not asked the server yet what an earlier one had asked for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.alone import assert_each_is_verified_alone
from tests.support.mysql import MysqlServer

pytestmark = pytest.mark.system


@pytest.mark.parametrize("isolation", ["", "READ COMMITTED"])
def test_each_request_is_verified_alone(isolation: str, installed: MysqlServer, tmp_path: Path) -> None:
    """SQLAlchemy asks at its first connection, sets up each of them, and commits or rolls back behind both."""
    assert_each_is_verified_alone("mysql+pymysql", installed, tmp_path, ISOLATION_LEVEL=isolation)
