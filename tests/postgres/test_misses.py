"""What was not recorded is a miss at once, whatever waits for it; and what is large passes, on uvloop too."""

from __future__ import annotations

import asyncio
import io
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import psycopg2
import pytest
import uvloop
from psycopg2.extras import wait_select

from tests.support.postgres import PostgresServer
from tests.support.recordings import assert_nothing_changes, recorded_each
from timetracer_otel import testing
from timetracer_otel.errors import ReplayMiss

pytestmark = pytest.mark.system

ELSEWHERE = "postgresql://somebody:else@db.nowhere.example:6543/warehouse"
LARGE = b"\0y" * 10_000_000


async def by_asyncpg(dsn: str, copied: bytes = b"1\n2\n", least: int = 1) -> Any:
    """Copy rows in, read some, send and get something large."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE TEMPORARY TABLE number (n int)")
        tag = await connection.copy_to_table("number", source=io.BytesIO(copied))
        rows = await connection.fetch("SELECT n FROM number WHERE n > $1", least)
        return tag, [tuple(row) for row in rows], await connection.fetchval("SELECT $1::bytea", LARGE) == LARGE
    finally:
        await connection.close()


def by_psycopg(dsn: str, copied: bytes = b"1\n2\n", least: int = 1) -> Any:
    """The same."""
    with psycopg.connect(dsn) as connection:
        cursor = connection.execute("CREATE TEMPORARY TABLE number (n int)")
        with cursor.copy("COPY number FROM STDIN") as copy:
            copy.write(copied)
        rows = cursor.execute("SELECT n FROM number WHERE n > %s", (least,)).fetchall()
        row = cursor.execute("SELECT %b::bytea", (LARGE,)).fetchone()
        return cursor.statusmessage, rows, row == (LARGE,)


def by_cursors(
    dsn: str, order: str = "abab", names: tuple[str, str] = ("_django_curs_11_sync_1", "_django_curs_12_sync_1")
) -> Any:
    """Read two cursors of the server, which an object mapper has named, outside of transactions."""
    with psycopg.connect(dsn, autocommit=True) as one, psycopg.connect(dsn, autocommit=True) as two:
        cursors = {"a": one.cursor(names[0], withhold=True), "b": two.cursor(names[1], withhold=True)}
        for name, cursor in cursors.items():
            cursor.execute("SELECT %s || n FROM generate_series(1, 9) AS n", (name,))
        read: dict[str, list[Any]] = {"a": [], "b": []}
        for name in order:
            read[name] += cursors[name].fetchmany(3)
        return read


DRIVERS: dict[str, Any] = {
    "asyncpg": lambda *asked: asyncio.run(by_asyncpg(*asked)),
    "uvloop": lambda *asked: uvloop.run(by_asyncpg(*asked)),
    "psycopg": by_psycopg,
}


def asks_psycopg2(dsn: str) -> Any:
    """Ask something, and where it was asked."""
    connection = psycopg2.connect(dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 6 * 7")
            return cursor.fetchall(), connection.info.port > 0
    finally:
        connection.close()


def asks_psycopg(dsn: str) -> Any:
    """The same."""
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT 6 * 7").fetchall(), connection.info.port > 0


async def _asks_asyncpg(dsn: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval("SELECT 6 * 7")
    finally:
        await connection.close()


ASKING: dict[str, Any] = {
    "asks_psycopg2": asks_psycopg2,
    "asks_psycopg": asks_psycopg,
    "asks_asyncpg": lambda dsn: asyncio.run(_asks_asyncpg(dsn)),
}
_AT = "postgresql://u:p@db.nowhere.example:6543/other"
WAYS = [
    f"{_AT}?sslmode=verify-full",
    f"{_AT}?sslmode=verify-full&sslrootcert=system",
    f"{_AT}?sslmode=verify-ca&sslrootcert=/nowhere/root.crt",
    "postgresql://u:p@a.nowhere.example:1,b.nowhere.example:2/other?target_session_attrs=read-write",
    "postgresql://u:p@/other?host=/nowhere/run",
]


@pytest.fixture(scope="module")
def recorded(installed: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """What each saw, and its recording. The server is gone."""
    return recorded_each(
        installed, installed.dsn, {**DRIVERS, **ASKING, "cursors": by_cursors}, tmp_path_factory.mktemp
    )


@pytest.mark.parametrize("name", DRIVERS)
def test_what_is_large_comes_back(name: str, recorded: dict[str, tuple[Any, Path]]) -> None:
    """A value of 20 MB each way."""
    then, folder = recorded[name]
    with testing.replay(folder):
        assert DRIVERS[name](ELSEWHERE) == then


@pytest.mark.parametrize("name", DRIVERS)
@pytest.mark.parametrize("asked", [(b"1\n3\n", 1), (b"1\n2\n", 0)], ids=["copied", "parameter"])
def test_a_miss_is_raised(name: str, asked: tuple[bytes, int], recorded: dict[str, tuple[Any, Path]]) -> None:
    """Other data of a COPY, another parameter: the program sees a miss, and its connection can be closed."""
    with testing.replay(recorded[name][1]) as replay, pytest.raises(ReplayMiss):
        DRIVERS[name](ELSEWHERE, *asked)
    assert len(replay.outcome().misses) == 1


@pytest.mark.parametrize("order", ["aabb", "bbaa"])
def test_cursors_are_told_apart(order: str, recorded: dict[str, tuple[Any, Path]]) -> None:
    """Each gives its own rows in whatever order they are read, though their names differ in each run."""
    then, folder = recorded["cursors"]
    with testing.replay(folder):
        assert by_cursors(ELSEWHERE, order, ("_django_curs_77_sync_3", "_django_curs_88_sync_4")) == then


def test_a_cursor_gives_no_more_than_was_recorded_of_it(recorded: dict[str, tuple[Any, Path]]) -> None:
    """A program that reads on is refused: what another cursor gave is not its."""
    with testing.replay(recorded["cursors"][1]), pytest.raises(ReplayMiss, match="more than was recorded"):
        by_cursors(ELSEWHERE, "aaab")


@pytest.mark.parametrize("name", ASKING)
def test_the_way_does_not_count(name: str, recorded: dict[str, tuple[Any, Path]]) -> None:
    """Modes of TLS whose files are not here, several servers, a Unix socket: they mean nothing in a replay."""
    then, folder = recorded[name]
    for dsn in WAYS:
        with testing.replay(folder) as replay:
            assert ASKING[name](dsn) == then
        assert (replay.outcome().misses, replay.outcome().unused) == ([], [])


def _failing_by_psycopg2(dsn: str) -> Any:
    with closing(psycopg2.connect(dsn)):
        try:
            psycopg2.connect(dsn + "_that_is_not_there", connect_timeout=3)
        except psycopg2.OperationalError as error:
            return type(error)
    return None


def _failing_later(dsn: str) -> Any:
    with closing(psycopg2.connect(dsn, async_=1)) as connection:
        wait_select(connection)
        try:
            wait_select(psycopg2.connect(dsn + "_that_is_not_there", async_=1))
        except psycopg2.OperationalError as error:
            return type(error)
    return None


def _failing_by_psycopg(dsn: str) -> Any:
    with closing(psycopg.connect(dsn)):
        try:
            psycopg.connect(dsn + "_that_is_not_there")
        except psycopg.OperationalError as error:
            return type(error)
    return None


async def _failing_by_asyncpg(dsn: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        await asyncpg.connect(dsn + "_that_is_not_there")
    except asyncpg.InvalidCatalogNameError as error:
        return type(error), str(error)
    finally:
        await connection.close()


async def _failing_together(dsn: str) -> Any:
    """Connect three times at once, once in vain, and again."""
    asked = [asyncpg.connect(dsn), asyncpg.connect(dsn + "_that_is_not_there"), asyncpg.connect(dsn)]
    made = await asyncio.gather(*asked, return_exceptions=True)
    again = await asyncio.gather(asyncpg.connect(dsn + "_nor_that"), return_exceptions=True)
    for one in made:
        if isinstance(one, asyncpg.Connection):
            await one.close()
    return [type(one).__name__ for one in (*made, *again)]


FAILING: dict[str, Any] = {
    "psycopg2": _failing_by_psycopg2,
    "psycopg2, asynchronous": _failing_later,
    "psycopg": _failing_by_psycopg,
    "asyncpg": lambda dsn: asyncio.run(_failing_by_asyncpg(dsn)),
    "together": lambda dsn: asyncio.run(_failing_together(dsn)),
}


def test_the_connection_fails_that_failed(installed: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    """And not the one that was made before it and asked nothing."""
    recorded = recorded_each(installed, installed.dsn, FAILING, tmp_path_factory.mktemp)
    for name, program in FAILING.items():
        assert recorded[name][0] is not None
        assert_nothing_changes(program, ELSEWHERE, recorded[name])
