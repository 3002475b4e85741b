"""What programs do with PyMySQL is the same recorded, and replayed with the server gone: values and types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests.mysql.pymysql_scenarios import SCENARIOS
from tests.support.mysql import ELSEWHERE, MysqlServer
from tests.support.recordings import assert_nothing_changes, recorded_each

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def recorded(installed: MysqlServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """What each scenario saw while it was recorded, and the recording. The server is gone."""
    return recorded_each(installed, installed.address, SCENARIOS, tmp_path_factory.mktemp)


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_changes(name: str, recorded: dict[str, tuple[Any, Path]]) -> None:
    """Replayed with another host, port, user and database a program sees what it saw."""
    connects = pymysql.connections.Connection.connect
    assert_nothing_changes(SCENARIOS[name], ELSEWHERE, recorded[name])
    assert pymysql.connections.Connection.connect is connects
