"""What programs do with mysqlclient is the same recorded, and replayed with the server gone: values and types.

It is C and is built here, into a folder of its own: an environment for tests needs no compiler.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import OTEL
from tests.support.mysql import ELSEWHERE, MysqlServer
from tests.support.orm import orm
from tests.support.recordings import assert_nothing_changes, recorded_each
from timetracer_otel import testing
from timetracer_otel.errors import ReplayMiss

pytestmark = pytest.mark.system

SCENARIOS = (
    "every_type", "cursors", "transactions", "several_results", "lost", "large_values", "made_anew", "threads",
    "sqlalchemy",
)  # fmt: skip


LEFT_OPEN = """
import builtins, os
import MySQLdb

builtins.kept = connection = MySQLdb.connect(
    host="127.0.0.1", user=os.environ["USER_NAME"], password=os.environ["PASSWORD"], port=int(os.environ["PORT"])
)
connection.query("SELECT 1")
print(connection.store_result().fetch_row())
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the driver is built into."""
    folder = tmp_path_factory.mktemp("driver")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(folder),
        "mysqlclient>=2.2",
    ]
    subprocess.run(command, check=True, timeout=600)
    return folder


@pytest.fixture(scope="module")
def driver(built: Path) -> Iterator[Any]:
    """The driver."""
    sys.path.append(str(built))
    yield import_module("MySQLdb")
    sys.path.remove(str(built))
    for name in [name for name in sys.modules if name.partition(".")[0] == "MySQLdb"]:
        del sys.modules[name]


def sqlalchemy(address: dict[str, Any]) -> Any:
    """SQLAlchemy on this driver."""
    return orm("mariadb+mysqldb://{user}:{password}@{host}:{port}/{database}".format(**address))


@pytest.fixture(scope="module")
def programs(driver: Any) -> dict[str, Any]:
    """What is recorded, by name."""
    assert driver
    return {**import_module("tests.mysql.mysqlclient_scenarios").SCENARIOS, "sqlalchemy": sqlalchemy}


@pytest.fixture(scope="module")
def recorded(
    installed: MysqlServer, programs: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Any, Path]]:
    """What each program saw while it was recorded, and the recording. The server is gone."""
    assert set(programs) == set(SCENARIOS)
    return recorded_each(installed, installed.address, programs, tmp_path_factory.mktemp)


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_changes(
    name: str, programs: dict[str, Any], driver: Any, recorded: dict[str, tuple[Any, Path]]
) -> None:
    """Replayed with another host, port, user and database a program sees what it saw."""
    before = vars(driver.connections.Connection).copy()
    assert_nothing_changes(programs[name], ELSEWHERE, recorded[name])
    assert vars(driver.connections.Connection) == before


def test_a_miss_is_raised(driver: Any, recorded: dict[str, tuple[Any, Path]]) -> None:
    """Another statement: the program sees a miss, though the library only sees that its connection is lost."""
    with testing.replay(recorded["made_anew"][1]) as replay, pytest.raises(ReplayMiss, match="mysql SELECT"):
        driver.connect(**ELSEWHERE).cursor().execute("SELECT %s", ("never asked",))
    assert len(replay.outcome().misses) == 1


def test_a_process_may_end_with_open_connections(built: Path, installed: MysqlServer, tmp_path: Path) -> None:
    """They are closed when of Python nearly nothing is left; the library tells of that as well."""
    at = installed.address
    env = {
        **os.environ, "PYTHONPATH": str(built), "TIMETRACER_DIR": str(tmp_path), "PORT": str(at["port"]),
        "USER_NAME": at["user"], "PASSWORD": at["password"],
    }  # fmt: skip
    installed.start()
    try:
        words = [*OTEL, "--traces_exporter", "timetracer", sys.executable, "-c", LEFT_OPEN]
        ended = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    finally:
        installed.stop()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "((1,),)\n", "")
    assert [file for file in tmp_path.rglob("SESSION__*") if "SELECT 1" in file.read_text(encoding="utf-8")]
