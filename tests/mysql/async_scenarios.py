"""What programs do with aiomysql and asyncmy: a scenario is given the driver and an address, and gives what it saw."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.mysql.values import TYPES

__all__ = ["ONLY_AIOMYSQL", "SCENARIOS", "Scenario", "at"]

Scenario = Callable[[Any, dict[str, Any]], Awaitable[Any]]
SCENARIOS: Final[dict[str, Scenario]] = {}
ONLY_AIOMYSQL: Final = frozenset({"killed_and_loaded"})
"""asyncmy has no method that kills, and fails by itself at a file of the client."""


def scenario(function: Scenario) -> Scenario:
    """Let a function be one of the scenarios."""
    SCENARIOS[function.__name__] = function
    return function


def at(address: dict[str, Any]) -> dict[str, Any]:
    """Give an address as this driver takes it."""
    return {"db" if name == "database" else name: value for name, value in address.items()}


async def outcome(asked: Awaitable[Any]) -> Any:
    """Give what is awaited; of an exception its class, arguments and what caused it."""
    try:
        return await asked
    except Exception as error:  # noqa: BLE001 - which one it is, is what is looked at
        return type(error), error.args, type(error.__context__), str(error)


@asynccontextmanager
async def connected(driver: Any, address: dict[str, Any], **options: Any) -> AsyncIterator[Any]:
    """Connect, with a table of items."""
    connection = await driver.connect(**{**at(address), **options})
    try:
        async with connection.cursor() as cursor:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                await cursor.execute("DROP TABLE IF EXISTS item")
            await cursor.execute(
                "CREATE TABLE item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) UNIQUE, price DECIMAL(10,2))"
            )
        yield connection
    finally:
        await connection.ensure_closed()


@scenario
async def every_type(driver: Any, address: dict[str, Any]) -> Any:
    """Values of each type, their limits and NULL."""
    seen: list[Any] = []
    async with driver.connect(**at(address), autocommit=True) as connection, connection.cursor() as cursor:
        await cursor.execute("SET sql_mode = ''")
        for kind, values in TYPES:
            await cursor.execute(f"CREATE OR REPLACE TEMPORARY TABLE kind (n INT AUTO_INCREMENT PRIMARY KEY, v {kind})")
            for value in [*(one for one in values if not isinstance(one, bytes)), None]:  # this driver with PyMySQL 1.2
                await cursor.execute("INSERT INTO kind (v) VALUES (%s)", (value,))
            await cursor.execute("SELECT * FROM kind ORDER BY n")
            seen.append((kind, cursor.description, await cursor.fetchall()))
    return seen


@scenario
async def cursors(driver: Any, address: dict[str, Any]) -> Any:
    """Every kind of cursor, read in every way, closed early."""
    seen: list[Any] = []
    async with connected(driver, address) as connection:
        async with connection.cursor() as cursor:
            many = [(f"i{n}", n) for n in range(500)]
            seen.append(await cursor.executemany("INSERT INTO item (name, price) VALUES (%s, %s)", many))
            seen.append((cursor.rowcount, cursor.lastrowid))
        for name in ("Cursor", "DictCursor", "SSCursor", "SSDictCursor"):
            async with connection.cursor(getattr(driver.cursors, name)) as cursor:
                seen.append(await cursor.execute("SELECT id, name, price FROM item WHERE id > %s ORDER BY id", (3,)))
                seen.append((await cursor.fetchone(), await cursor.fetchmany(2), cursor.rownumber))
                seen.append(await cursor.fetchall())
                await cursor.execute("SELECT id FROM item ORDER BY id")
                seen.append([row async for row in cursor])
                await cursor.execute("SELECT name FROM item ORDER BY id")
                seen.append(await cursor.fetchone())
    return seen


@scenario
async def transactions(driver: Any, address: dict[str, Any]) -> Any:
    """Commits, rollbacks, autocommit, another database, errors with their numbers, warnings."""
    seen: list[Any] = []
    async with connected(driver, address) as connection, connection.cursor() as cursor:
        await connection.begin()
        await cursor.execute("INSERT INTO item (name) VALUES ('one')")
        seen += [cursor.lastrowid, connection.get_transaction_status(), connection.get_autocommit()]
        await connection.rollback()
        await cursor.execute("SELECT COUNT(*) FROM item")
        seen.append(await cursor.fetchall())
        await connection.autocommit(True)  # noqa: FBT003 - the signature of a driver
        await cursor.execute("INSERT INTO item (name) VALUES ('two')")
        for sql in ("INSERT INTO item (name) VALUES ('two')", "SELEKT", "SELECT * FROM nowhere"):
            seen.append(await outcome(cursor.execute(sql)))
        await connection.select_db("other")
        await cursor.execute("SELECT DATABASE()")
        seen.append(await cursor.fetchall())
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            await cursor.execute("DROP TABLE IF EXISTS nowhere")
        seen += [[str(one.message) for one in told], connection.get_server_info()]
        await connection.select_db(address["database"] if address["port"] != 6543 else "shop")
        await connection.ping()
    return seen


def _written(file: Path) -> Path:
    """Give a file with rows in it."""
    file.write_text("".join(f"{n}\tname {n}\t1\n" for n in range(10, 3000)), encoding="utf-8")
    return file


@scenario
async def several_results(driver: Any, address: dict[str, Any]) -> Any:
    """Several statements at once, a procedure."""
    seen: list[Any] = []
    async with connected(driver, address) as connection, connection.cursor() as cursor:
        await cursor.execute("INSERT INTO item (name) VALUES ('a'); SELECT id, name FROM item; SELECT 2")
        while True:
            seen += [cursor.rowcount, cursor.description]
            if cursor.description is not None:
                seen.append(await cursor.fetchall())
            if not await cursor.nextset():
                break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            await cursor.execute("DROP PROCEDURE IF EXISTS twice")
        await cursor.execute("CREATE PROCEDURE twice(IN n INT, OUT o INT) BEGIN SELECT n; SET o = n * 2; END")
        seen.append(await cursor.callproc("twice", (2, None)))
        seen.append(await cursor.fetchall())
    return seen


@scenario
async def killed_and_loaded(driver: Any, address: dict[str, Any]) -> Any:
    """A file of the client; another connection that is killed by a command of the protocol."""
    async with connected(driver, address, local_infile=True) as connection, driver.connect(**at(address)) as other:
        async with connection.cursor() as cursor:
            with tempfile.TemporaryDirectory() as folder:
                file = _written(Path(folder, "items"))
                await cursor.execute(f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE item")
            loaded = cursor.rowcount
        await other.kill(connection.thread_id())
        async with connection.cursor() as cursor:
            return loaded, (await outcome(cursor.execute("SELECT 1")))[:2]


@scenario
async def pooled(driver: Any, address: dict[str, Any]) -> Any:
    """A pool: connections that come back, in a transaction too, tasks that wait for one."""
    seen: list[Any] = []
    async with driver.create_pool(**at(address), minsize=1, maxsize=3, autocommit=True) as pool:
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute("CREATE OR REPLACE TABLE job (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40))")

        async def work(number: int) -> Any:
            async with pool.acquire() as connection, connection.cursor(driver.cursors.DictCursor) as cursor:
                await cursor.execute("INSERT INTO job (name) VALUES (%s)", (f"j{number}",))
                made = cursor.lastrowid
                await cursor.execute("SELECT * FROM job WHERE id = %s", (made,))
                return await cursor.fetchall()

        seen.append(await asyncio.gather(*(work(number) for number in range(12))))
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await connection.begin()
            await cursor.execute("DELETE FROM job")
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute("SELECT COUNT(*) FROM job")
            seen.append(await cursor.fetchall())
        seen.append((pool.size, pool.freesize))
    return seen


@scenario
async def lost(driver: Any, address: dict[str, Any]) -> Any:
    """Connections that are refused, killed, given up."""
    seen = [
        await outcome(driver.connect(**{**at(address), "host": "127.0.0.1", "port": 1})),
        await outcome(driver.connect(**{**at(address), "password": "wrong"})),
        await outcome(driver.connect(**{**at(address), "db": "nowhere"})),
    ]
    seen = [(one[0], one[1][0]) for one in seen]
    async with connected(driver, address) as connection, driver.connect(**at(address)) as other:
        async with other.cursor() as killer:
            await killer.execute(f"KILL {connection.thread_id()}")
        async with connection.cursor() as cursor:
            seen.append((await outcome(cursor.execute("SELECT 1")))[:2])
    async with connected(driver, address) as connection, connection.cursor() as cursor:
        seen.append((await outcome(asyncio.wait_for(cursor.execute("SELECT SLEEP(30)"), 0.5)))[0])
        seen.append((await outcome(cursor.execute("SELECT 1")))[:2])
    return seen


@scenario
async def large_values(driver: Any, address: dict[str, Any]) -> Any:
    """A value of 20 MB both ways."""
    async with connected(driver, address) as connection, connection.cursor() as cursor:
        await cursor.execute("CREATE TEMPORARY TABLE large (t LONGTEXT)")
        await cursor.execute("INSERT INTO large VALUES (%s)", ("xy" * 10_000_000,))
        await cursor.execute("SELECT t FROM large")
        [(value,)] = await cursor.fetchall()
        return value == "xy" * 10_000_000


@scenario
async def made_anew(driver: Any, address: dict[str, Any]) -> Any:
    """Ids that a program makes in each run come back as those of this run."""
    async with connected(driver, address, autocommit=True) as connection, connection.cursor() as cursor:
        name = str(uuid.uuid4())
        await cursor.execute("INSERT INTO item (name) VALUES (%s)", (name,))
        await cursor.execute("SELECT name FROM item WHERE id = %s", (cursor.lastrowid,))
        return await cursor.fetchall() == ((name,),), cursor.lastrowid
