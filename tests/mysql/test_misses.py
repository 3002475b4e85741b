"""What was not recorded is a miss at once; connections of another time do no harm."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiomysql
import asyncmy
import pymysql
import pytest

from tests.support.mysql import ELSEWHERE, MysqlServer
from tests.support.recordings import assert_nothing_changes, recorded_each
from timetracer_otel import testing
from timetracer_otel.errors import ReplayMiss

pytestmark = pytest.mark.system


def program(address: dict[str, Any], name: str = "tea", least: int = 0) -> Any:
    """Write, read."""
    with pymysql.connect(**address) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40))")
        cursor.execute("INSERT INTO item (name) VALUES (%s)", (name,))
        cursor.execute("SELECT id, name FROM item WHERE id > %s", (least,))
        return cursor.fetchall()


@pytest.fixture(scope="module")
def recorded(installed: MysqlServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """What the program saw, and its recording. The server is gone."""
    return recorded_each(installed, installed.address, {"pymysql": program}, tmp_path_factory.mktemp)


@pytest.mark.parametrize("asked", [{"name": "milk"}, {"least": 1}], ids=["written", "read"])
def test_a_miss_is_raised(asked: dict[str, Any], recorded: dict[str, tuple[Any, Path]]) -> None:
    """Another value in a statement: the program sees a miss and not the recorded rows, and its connection is closed."""
    with testing.replay(recorded["pymysql"][1]) as replay, pytest.raises(ReplayMiss, match="mysql"):
        program(ELSEWHERE, **asked)
    assert len(replay.outcome().misses) == 1


def test_a_connection_of_another_time_is_made_anew(
    installed: MysqlServer, tmp_path: Path, recorded: dict[str, tuple[Any, Path]]
) -> None:
    """One that was open before recording began is recorded; in a replay, and after it, it is another one."""
    assert recorded
    installed.start()
    try:
        connection = pymysql.connect(**installed.address)
        cursor = connection.cursor()
        with testing.record(tmp_path):
            cursor.execute("SELECT 17 + 4")
            assert cursor.fetchall() == ((21,),)
        cursor.execute("SELECT 1")
    finally:
        installed.stop()
    with testing.replay(tmp_path) as replay:
        cursor.execute("SELECT 17 + 4")
        assert cursor.fetchall() == ((21,),)
    assert replay.outcome().misses == []
    with pytest.raises(pymysql.err.OperationalError, match="gone away"):
        cursor.execute("SELECT 17 + 4")


def writing(address: dict[str, Any], *, asks_before: bool) -> Any:
    """Write in a transaction, and ask the server about itself: in it, or before it, and roll back what that began."""
    with pymysql.connect(**address) as connection, connection.cursor() as cursor:
        if asks_before:
            cursor.execute("SELECT @@max_allowed_packet")
            connection.rollback()
        cursor.execute("CREATE TEMPORARY TABLE item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40))")
        cursor.execute("INSERT INTO item (name) VALUES ('tea')")
        if not asks_before:
            cursor.execute("SELECT @@max_allowed_packet")
        seen = cursor.fetchall()
        connection.commit()
        return seen


def test_what_the_server_is_asked_about_itself_begins_no_transaction(installed: MysqlServer, tmp_path: Path) -> None:
    """Its recorded answer may come from inside of one."""
    installed.start()
    try:
        with testing.record(tmp_path):
            writing(installed.address, asks_before=False)
    finally:
        installed.stop()
    with testing.replay(tmp_path) as replay:
        writing(ELSEWHERE, asks_before=True)
    assert replay.outcome().misses == []


def _failing(connect: Any) -> Any:
    def fails(address: dict[str, Any]) -> Any:
        connection = connect(**address)
        try:
            connect(**address | {"password": "wrong"})
        except Exception as error:  # noqa: BLE001 - each driver has its own class
            return type(error)
        finally:
            connection.close()

    return fails


def _failing_async(connect: Any) -> Any:
    async def fails(address: dict[str, Any]) -> Any:
        address = {"db" if name == "database" else name: value for name, value in address.items()}
        connection = await connect(**address)
        try:
            await connect(**address | {"password": "wrong"})
        except Exception as error:  # noqa: BLE001 - as above
            return type(error)
        finally:
            connection.close()

    return lambda address: asyncio.run(fails(address))


FAILING = {
    "pymysql": _failing(pymysql.connect),
    "aiomysql": _failing_async(aiomysql.connect),
    "asyncmy": _failing_async(asyncmy.connect),
}


def test_the_connection_fails_that_failed(installed: MysqlServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    """And not the one that was made before it and asked nothing."""
    recorded = recorded_each(installed, installed.address, FAILING, tmp_path_factory.mktemp)
    for name, program in FAILING.items():
        assert recorded[name][0] is not None
        assert_nothing_changes(program, ELSEWHERE, recorded[name])
