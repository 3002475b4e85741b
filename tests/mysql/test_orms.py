"""What programs do with object mappers on MySQL is the same recorded, and replayed with the server gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.mysql.orms import PROGRAMS
from tests.support.mysql import ELSEWHERE, MysqlServer
from tests.support.recordings import assert_nothing_changes, recorded_each

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def recorded(installed: MysqlServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """What each program saw while it was recorded, and the recording. The server is gone."""
    return recorded_each(installed, installed.address, PROGRAMS, tmp_path_factory.mktemp)


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_changes(name: str, recorded: dict[str, tuple[Any, Path]]) -> None:
    """Replayed with another host, port, user and database a program sees what it saw."""
    assert_nothing_changes(PROGRAMS[name], ELSEWHERE, recorded[name])
