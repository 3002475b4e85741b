"""What programs do with asyncpg: each scenario is given a connection string and returns all that it saw."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import ipaddress
import json
import uuid
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Final, TypeVar

import asyncpg

from tests.support.orm import orm_async

__all__ = ["SCENARIOS", "Scenario"]

Scenario = Callable[[str], Awaitable[Any]]
SCENARIOS: Final[dict[str, Scenario]] = {}
_S = TypeVar("_S", bound=Callable[..., Awaitable[Any]])


def scenario(function: _S) -> _S:
    """Let a function be one of the scenarios."""
    SCENARIOS[function.__name__] = function
    return function


def _naive(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - a time of a type that has no zone


async def outcome(asked: Awaitable[Any]) -> Any:
    """Give what is awaited; of an exception its class, arguments and attributes."""
    try:
        return await asked
    except Exception as error:  # noqa: BLE001 - which one it is, is what is looked at
        return type(error), error.args, vars(error)


@asynccontextmanager
async def connected(dsn: str, **options: Any) -> Any:
    """Connect, with a table of items."""
    connection = await asyncpg.connect(dsn, **options)
    try:
        await connection.execute(
            "DROP TABLE IF EXISTS item; CREATE TABLE item "
            "(id serial PRIMARY KEY, name text UNIQUE, price numeric CHECK (price < 1000),"
            " at timestamptz DEFAULT now())"
        )
        yield connection
    finally:
        await connection.close()


@scenario
async def common_types(dsn: str) -> Any:
    """Values of each common type, their limits, and NULL."""
    values: list[tuple[str, list[Any]]] = [
        ("int2", [0, -(2**15)]),
        ("int4", [2**31 - 1]),
        ("int8", [-(2**63), 1_700_000_000_000]),
        ("float4", [1.5]),
        ("float8", [0.1, float("inf"), float("nan"), 1_700_000_000.25]),
        ("numeric", [Decimal("3.1400"), Decimal("NaN"), Decimal("-1e-20"), Decimal(10) ** 30, 0]),
        ("bool", [True, False]),
        ("text", ["", "größe 漢字", "a" * 70_000, "\x01"]),
        ("varchar(5)", ["abc"]),
        ("char(5)", ["ab"]),
        ("bytea", [b"", b"\x00\xff\\'", bytes(range(256))]),
        ("uuid", [uuid.UUID(int=5), uuid.uuid4()]),
        ("date", [dt.date(2024, 2, 29), dt.date.max]),
        ("time", [dt.time(23, 59, 59, 999_999)]),
        ("timestamp", [_naive(1900, 1, 1), _naive(2024, 5, 6, 7, 8, 9, 123_456)]),
        ("timestamptz", [dt.datetime(2024, 5, 6, 7, 8, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))]),
        ("interval", [dt.timedelta(days=-3, microseconds=1)]),
        ("json", ['{"a": [1, null]}']),
        ("jsonb", ['{"b": "x", "at": "2024-05-06T07:08:09Z"}']),
        ("int4[]", [[1, None, -3], []]),
        ("text[]", [["a", None, 'quote"']]),
        ("int4range", [asyncpg.Range(1, 5), asyncpg.Range(empty=True)]),
        ("tstzrange", [asyncpg.Range(dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None)]),
        ("inet", [ipaddress.ip_interface("10.0.0.1/8"), ipaddress.ip_address("::1")]),
        ("cidr", [ipaddress.ip_network("10.0.0.0/8")]),
        ("macaddr", ["08:00:2b:01:02:03"]),
        ("point", [asyncpg.Point(1.5, -2)]),
        ("bit(4)", [asyncpg.BitString("1010")]),
        ("money", ["$3.00"]),
    ]
    async with connected(dsn) as connection:
        seen = [
            await connection.fetchrow(f"SELECT $1::{kind} AS value, $2::{kind} AS nothing", value, None)
            for kind, several in values
            for value in several
        ]
        seen.append(
            await connection.fetchrow(
                "SELECT 'infinity'::timestamptz, '-infinity'::date, now() > $1", dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
            )
        )
    return [dict(row) for row in seen]


@scenario
async def types_of_the_database(dsn: str) -> Any:
    """Enums, composites, domains and arrays of them, which the driver must ask the server about."""
    async with connected(dsn) as connection:
        await connection.execute(
            "DROP TYPE IF EXISTS mood CASCADE; CREATE TYPE mood AS ENUM ('sad', 'ok');"
            "DROP TYPE IF EXISTS pair CASCADE; CREATE TYPE pair AS (a int, b text);"
            "DROP DOMAIN IF EXISTS small CASCADE; CREATE DOMAIN small AS int CHECK (VALUE < 10)"
        )
        row = await connection.fetchrow("SELECT $1::mood, $2::mood[], $3::pair, $4::small", "ok", ["sad"], (1, "x"), 5)
        refused = await outcome(connection.fetchval("SELECT $1::small", 11))
    return dict(row), tuple(row[2]), refused


@scenario
async def codecs(dsn: str) -> Any:
    """Codecs and record classes of the program."""

    class Row(asyncpg.Record):  # type: ignore[misc]  # the driver ships no types
        """A record with a property."""

        @property
        def shout(self) -> str:
            """Of its first column."""
            return str(self[0]).upper()

    async with connected(dsn, record_class=Row) as connection:
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        await connection.set_type_codec("numeric", encoder=str, decoder=float, schema="pg_catalog", format="text")
        row = await connection.fetchrow("SELECT 'tea' AS name, $1::jsonb, $2::numeric", {"a": [1]}, 1.5)
    return row.shout, dict(row)


@scenario
async def writes(dsn: str) -> Any:
    """What statements say: tags, RETURNING, generated ids, rows of several statements."""
    async with connected(dsn) as connection:
        inserted = await connection.fetchrow(
            "INSERT INTO item (name, price) VALUES ($1, $2) RETURNING id, at", "tea", 3
        )
        seen = [
            inserted["id"],
            await connection.fetchval("SELECT at FROM item WHERE id = $1", inserted["id"]) == inserted["at"],
            await connection.execute("INSERT INTO item (name) VALUES ('a'), ('b')"),
            await connection.execute("UPDATE item SET price = $1 WHERE name = $2", Decimal("2.5"), "a"),
            await connection.fetch("SELECT name, price FROM item ORDER BY id"),
            await connection.execute("DELETE FROM item WHERE name = 'nobody'"),
            await connection.fetch(""),
            await connection.execute("SELECT 1; SELECT 2"),
            await connection.fetch("UPDATE item SET price = 1 RETURNING name, price"),
            await connection.fetch("SELECT name, price FROM item ORDER BY id"),
        ]
    return [[tuple(row) for row in one] if isinstance(one, list) else one for one in seen]


@scenario
async def errors(dsn: str) -> Any:
    """Each kind of error, with its fields; the connection goes on."""
    async with connected(dsn) as connection:
        await connection.execute("INSERT INTO item (name) VALUES ('tea')")
        return [
            await outcome(connection.execute("INSERT INTO item (name) VALUES ('tea')")),
            await outcome(connection.fetch("INSERT INTO item (name, price) VALUES ($1, $2)", "x", 5000)),
            await outcome(connection.fetch("SELEC 1")),
            await outcome(connection.fetch("SELECT * FROM nowhere WHERE id = $1", 1)),
            await outcome(connection.fetch("SELECT 1 / $1::int", 0)),
            await outcome(connection.fetch("SELECT $1::int", "no number")),
            await outcome(connection.execute("SELECT 1; SELECT 1/0; SELECT 2")),
            await outcome(connection.executemany("INSERT INTO item (name) VALUES ($1)", [("a",), ("tea",), ("b",)])),
            await outcome(
                connection.execute("DO $$ BEGIN RAISE EXCEPTION 'own %', 5 USING ERRCODE = 'ZZ123', HINT = 'h'; END $$")
            ),
            await connection.fetchval("SELECT count(*) FROM item"),
        ]


@scenario
async def a_table_that_comes_later(dsn: str) -> Any:
    """A statement that is refused, and understood once its table is there."""
    async with connected(dsn) as connection:
        await connection.execute("DROP TABLE IF EXISTS later")
        first = await outcome(connection.fetch("SELECT * FROM later WHERE id = $1", 5))
        await connection.execute("CREATE TABLE later (id int, name text); INSERT INTO later VALUES (5, 'x')")
        second = await connection.fetch("SELECT * FROM later WHERE id = $1", 5)
        await connection.execute("ALTER TABLE later ADD extra int DEFAULT 7")
        third = await connection.fetch("SELECT * FROM later WHERE id = $1", 5)
    return first, [dict(row) for row in second], [dict(row) for row in third]


@scenario
async def transactions(dsn: str) -> Any:
    """Commit, rollback, savepoints, isolation levels, a failed transaction, reads after writes."""
    count = "SELECT count(*) FROM item"
    async with connected(dsn) as connection:
        seen = [await connection.fetchval(count)]
        async with connection.transaction():
            await connection.execute("INSERT INTO item (name) VALUES ('kept')")
            seen.append(await connection.fetchval(count))
            inner = connection.transaction()
            await inner.start()
            await connection.execute("INSERT INTO item (name) VALUES ('dropped')")
            seen.append(await connection.fetchval(count))
            await inner.rollback()
            seen.append(await connection.fetchval(count))
        outer = connection.transaction(isolation="serializable", readonly=True)
        await outer.start()
        seen.append(await connection.fetchval("SHOW transaction_isolation"))
        seen.append(await outcome(connection.execute("INSERT INTO item (name) VALUES ('no')")))
        seen.append(await outcome(connection.fetchval(count)))
        seen.append(connection.is_in_transaction())
        await outer.rollback()
        seen += [await connection.fetchval(count), connection.is_in_transaction()]
    return seen


@scenario
async def cursors(dsn: str) -> Any:
    """Cursors: fetched from, moved, iterated, left early."""
    sql = "SELECT n FROM generate_series(1, $1) AS n"
    async with connected(dsn) as connection, connection.transaction():
        cursor = await connection.cursor(sql, 100)
        seen = [
            await cursor.fetch(3),
            await cursor.fetchrow(),
            await cursor.forward(10),
            await cursor.fetch(2),
            await cursor.fetch(1000),
            await cursor.fetch(5),
        ]
        rows = [row["n"] async for row in connection.cursor(sql, 60, prefetch=25)]
        early = []
        async for row in connection.cursor(sql, 1000, prefetch=10):
            early.append(row["n"])
            if len(early) == 15:
                break
    return seen, rows, early


@scenario
async def prepared(dsn: str) -> Any:
    """A prepared statement: what is known of it, and what it gives, again and again."""
    async with connected(dsn) as connection:
        await connection.execute("INSERT INTO item (name, price) VALUES ('a', 1), ('b', 2), ('c', 3)")
        statement = await connection.prepare("SELECT id, name FROM item WHERE price > $1")
        never_run = await connection.prepare("SELECT $1::int4 + $2::int8 AS sum")
        kinds = [[one.name for one in each.get_parameters()] for each in (statement, never_run)]
        names = [[(one.name, one.type.name) for one in each.get_attributes()] for each in (statement, never_run)]
        seen = [
            await statement.fetch(1),
            await statement.fetchval(2, column=1),
            await statement.fetchrow(9),
            statement.get_statusmsg(),
            statement.get_query(),
            await connection.fetchval("SELECT sum(price) FROM item"),
        ]
    return kinds, names, [[tuple(row) for row in one] if isinstance(one, list) else one for one in seen]


@scenario
async def many_rows(dsn: str) -> Any:
    """5,000 rows written and read, and a value of 3 MB."""
    async with connected(dsn) as connection:
        await connection.executemany(
            "INSERT INTO item (name, price) VALUES ($1, $2)", [(f"n{n}", n % 999) for n in range(5000)]
        )
        rows = await connection.fetch("SELECT id, name, price FROM item ORDER BY id")
        big = await connection.fetchval("SELECT repeat($1, 3000000)", "x")
        back = await connection.fetchval("SELECT length($1::bytea)", b"\x00y" * 1_500_000)
    return [tuple(row) for row in rows], big, back


@scenario
async def copy(dsn: str) -> Any:
    """COPY both ways: of records, of files, of queries; and what goes wrong in it."""

    async def broken() -> Any:
        yield b"1\tone\n"
        raise ValueError("the program's own")

    async with connected(dsn) as connection:
        out, chosen = io.BytesIO(), io.BytesIO()
        seen = [
            await connection.copy_records_to_table("item", records=[("a", 1), ("b", None)], columns=["name", "price"]),
            await connection.copy_to_table(
                "item", source=io.BytesIO(b"c,3\nd,4\n"), columns=["name", "price"], format="csv"
            ),
            await connection.copy_from_table("item", output=out, columns=["name", "price"]),
            await connection.copy_from_query(
                "SELECT name FROM item WHERE price > $1", 2, output=chosen, format="csv", header=True
            ),
            await outcome(
                connection.copy_to_table("item", source=io.BytesIO(b"x\tno number\n"), columns=["name", "price"])
            ),
            await outcome(connection.copy_to_table("item", source=io.BytesIO(b"a\t1\n"), columns=["name", "price"])),
            await outcome(connection.copy_to_table("nowhere", source=io.BytesIO(b"a\t1\n"))),
            await outcome(connection.copy_from_query("SELECT 1/0", output=io.BytesIO())),
            await outcome(connection.copy_to_table("item", source=broken(), columns=["id", "name"])),
            await connection.fetchval("SELECT count(*) FROM item"),
        ]
    return seen, out.getvalue(), chosen.getvalue()


@scenario
async def listening(dsn: str) -> Any:
    """Notifications: of the connection itself, and of another one while nothing is asked."""
    heard: list[Any] = []
    arrived = asyncio.Event()

    def listener(_connection: Any, _pid: int, channel: str, payload: str) -> None:
        heard.append((channel, payload))
        arrived.set()

    async with connected(dsn) as connection:
        await connection.add_listener("news", listener)
        await connection.execute("NOTIFY news, 'own'")
        other = await asyncpg.connect(dsn)
        for payload in ("first", "second"):
            arrived.clear()
            await other.fetchval("SELECT pg_notify('news', $1)", payload)
            await asyncio.wait_for(arrived.wait(), 30)
        await other.close()
        await connection.remove_listener("news", listener)
    return heard


@scenario
async def notices(dsn: str) -> Any:
    """Notices that a statement raises."""
    heard: list[Any] = []
    async with connected(dsn) as connection:
        connection.add_log_listener(
            lambda _connection, message: heard.append((type(message), message.args, message.severity))
        )
        await connection.execute("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$")
        await connection.execute("DROP TABLE IF EXISTS nothing_of_the_kind")
        await asyncio.sleep(0)
    return heard


@scenario
async def settings_of_a_connection(dsn: str) -> Any:
    """What a connection says of its server, and after its settings change."""
    async with connected(dsn, server_settings={"application_name": "shop"}) as connection:
        seen = [
            connection.get_server_version(),
            connection.get_settings().TimeZone,
            connection.get_settings().application_name,
        ]
        await connection.execute("SET TIME ZONE 'Asia/Kolkata'")
        seen += [
            connection.get_settings().TimeZone,
            await connection.fetchval("SELECT to_char(timestamptz '2024-01-01 00:00Z', 'HH24:MI')"),
        ]
        await connection.reset()
        seen += [connection.get_settings().TimeZone]
    return seen


@scenario
async def timeouts(dsn: str) -> Any:
    """What takes too long: by the program's clock, by its cancelling, by the server's clock."""
    async with connected(dsn) as connection:
        seen = [await outcome(connection.fetchval("SELECT 1 FROM pg_sleep(30)", timeout=0.2))]
        task = asyncio.create_task(connection.fetchval("SELECT 2 FROM pg_sleep(30)"))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.wait([task])
        seen.append(task.cancelled())
        seen.append(await connection.fetchval("SELECT 3"))
        await connection.execute("SET statement_timeout = '100ms'")
        seen.append(await outcome(connection.fetchval("SELECT 4 FROM pg_sleep(30)")))
        seen.append(await connection.fetchval("SELECT 5"))
    return seen


@scenario
async def ended_by_the_server(dsn: str) -> Any:
    """The server ends the connection while it works for it."""
    connection = await asyncpg.connect(dsn)
    first = await outcome(connection.fetchval("SELECT pg_terminate_backend(pg_backend_pid())"))
    second = await outcome(connection.fetchval("SELECT 1"))
    return first[0], first[1], second[:2], connection.is_closed()


@scenario
async def without_names(dsn: str) -> Any:
    """Without a cache of statements, as behind pgbouncer: each is prepared once more, by itself, to be executed."""
    async with connected(dsn, statement_cache_size=0) as connection:
        await connection.execute("DROP TYPE IF EXISTS size; CREATE TYPE size AS ENUM ('small', 'large')")
        seen = [
            await connection.fetchval("INSERT INTO item (name) VALUES ($1) RETURNING id", "tea"),
            await connection.fetch("SELECT id, name FROM item WHERE name = $1", "tea"),
        ]
        prepared = await connection.prepare("SELECT $1::int + 1")
        seen += [await connection.fetchval("SELECT 2"), await prepared.fetchval(3), await prepared.fetchval(4)]
        async with connection.transaction():
            cursor = await connection.cursor("SELECT $1::int, 'small'::size", 5)
            seen.append(await cursor.fetch(2))
        await connection.executemany("INSERT INTO item (name) VALUES ($1)", [("a",), ("b",)])
        return [*seen, await connection.fetch("SELECT name FROM item ORDER BY name")]


@scenario
async def broken_off_by_the_client(dsn: str) -> Any:
    """An ``executemany`` whose parameters fail when some of them were sent is rolled back with them."""
    async with connected(dsn) as connection:
        names = ((f"{number} {'x' * 40_000}", 1 // number) for number in range(9, -1, -1))
        failed = await outcome(connection.executemany("INSERT INTO item (name, price) VALUES ($1, $2)", names))
        return failed[:2], await connection.fetchval("SELECT count(*) FROM item")


@scenario
async def refused_midway(dsn: str, first: str = "0") -> Any:
    """The driver sends the rows of an ``executemany`` until it hears that the server has refused one."""
    async with connected(dsn) as connection:
        rows = [(f"{number} {'x' * 40_000}", 0 if number == 3 else 1) for number in range(400)]
        rows[0] = first, 1
        failed = await outcome(connection.executemany("INSERT INTO item (name, price) VALUES ($1, 1 / $2::int)", rows))
        return failed[:2], await connection.fetchval("SELECT count(*) FROM item")


@scenario
async def processes_of_the_server(dsn: str) -> Any:
    """Each connection knows its own, also where the one that was made last asks first; so does a notification."""
    one, two, silent = [await asyncpg.connect(dsn) for _ in range(3)]
    heard: asyncio.Queue[Any] = asyncio.Queue()
    try:
        await two.fetchval("SELECT 1")
        await one.add_listener("news", lambda _connection, pid, *_: heard.put_nowait(pid))
        await two.execute("NOTIFY news")
        return one.get_server_pid(), two.get_server_pid(), await heard.get()
    finally:
        for connection in (one, two, silent):
            await connection.close()


@scenario
async def named_after_its_program(dsn: str) -> Any:
    """A connection knows the name that its program gave it, before anything is asked of it."""
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "kiosk"})
    await connection.close()
    return connection.get_settings().application_name


@scenario
async def pools(dsn: str) -> Any:
    """A pool: tasks at once, transactions on their connections, connections given back and taken again."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool:
        await pool.execute("DROP TABLE IF EXISTS item; CREATE TABLE item (id serial PRIMARY KEY, name text)")

        async def order(number: int) -> Any:
            async with pool.acquire() as connection, connection.transaction():
                made = await connection.fetchval("INSERT INTO item (name) VALUES ($1) RETURNING id", f"item {number}")
                return number, await connection.fetchval("SELECT name FROM item WHERE id = $1", made)

        seen = await asyncio.gather(*(order(number) for number in range(12)))
        total = await pool.fetchval("SELECT count(*) FROM item")
    return seen, total


@scenario
async def alike_at_once(dsn: str) -> Any:
    """Transactions that ask the same at once: what each reads after its write is its own."""
    async with asyncpg.create_pool(dsn, min_size=3, max_size=3) as pool:
        await pool.execute("DROP TABLE IF EXISTS item; CREATE TABLE item (id serial PRIMARY KEY, name text)")
        barrier = asyncio.Barrier(3)

        async def order() -> Any:
            async with pool.acquire() as connection, connection.transaction():
                made = await connection.fetchval("INSERT INTO item (name) VALUES ('same') RETURNING id")
                await barrier.wait()
                return made, await connection.fetchval("SELECT max(id) FROM item WHERE name = 'same'")

        seen = await asyncio.gather(*(order() for _ in range(3)))
    return sorted(seen)


async def _refused(dsn: str, **options: Any) -> Any:
    return await outcome(asyncpg.connect(dsn, timeout=30, **options))


@scenario
async def connections_that_fail(dsn: str) -> Any:
    """A wrong password, a database that is not there."""
    seen = [await _refused(dsn, password="wrong"), await _refused(dsn, database="nowhere")]
    connection = await asyncpg.connect(dsn)
    seen.append(await connection.fetchval("SELECT 1"))
    await connection.close()
    return seen


@scenario
async def sqlalchemy(dsn: str) -> Any:
    """SQLAlchemy's asyncio engine, which nothing in the code names."""
    return await orm_async(dsn.replace("postgresql://", "postgresql+asyncpg://"))
