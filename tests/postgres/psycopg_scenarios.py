"""What programs do with psycopg 3: each scenario is given a connection string and returns all that it saw."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row, namedtuple_row
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.json import Jsonb
from psycopg.types.range import Range
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from tests.support.orm import orm

__all__ = ["SCENARIOS", "Scenario"]

Scenario = Callable[[str], Any]
SCENARIOS: Final[dict[str, Scenario]] = {}
_ITEM: Final = (
    "DROP TABLE IF EXISTS item; CREATE TABLE item "
    "(id serial PRIMARY KEY, name text UNIQUE, price numeric CHECK (price < 1000), at timestamptz DEFAULT now())"
)


def scenario(function: Scenario) -> Scenario:
    """Let a function be one of the scenarios."""
    SCENARIOS[function.__name__] = function
    return function


def outcome(ask: Callable[[], Any]) -> Any:
    """Give what is asked; of an exception its class, arguments, state and diagnostics."""
    try:
        return ask()
    except psycopg.Error as error:
        names = [name for name in dir(error.diag) if not name.startswith("_")]
        told = {name: getattr(error.diag, name) for name in names if isinstance(getattr(error.diag, name), str)}
        return type(error), error.args, error.sqlstate, told


def _break() -> None:
    raise ValueError("the program's own")


@contextmanager
def connected(dsn: str, **options: Any) -> Iterator[psycopg.Connection[Any]]:
    """Connect, with a table of items."""
    with psycopg.connect(dsn, **options) as connection:
        connection.execute(_ITEM)
        connection.commit()
        yield connection


@scenario
def common_types(dsn: str) -> Any:
    """Values of each common type, their limits, and NULL; in text and in binary."""
    values: list[tuple[str, Any]] = [
        ("int2", -(2**15)),
        ("int8", 2**63 - 1),
        ("float8", 0.1),
        ("float8", float("nan")),
        ("float8", float("-inf")),
        ("numeric", Decimal("3.1400")),
        ("numeric", Decimal("NaN")),
        ("numeric", Decimal(10) ** 30),
        ("bool", True),
        ("text", ""),
        ("text", "größe 漢字"),
        ("text", "a" * 70_000),
        ("bytea", b""),
        ("bytea", bytes(range(256))),
        ("uuid", uuid.UUID(int=5)),
        ("date", dt.date(2024, 2, 29)),
        ("time", dt.time(23, 59, 59, 999_999)),
        ("timestamptz", dt.datetime(2024, 5, 6, 7, 8, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))),
        ("interval", dt.timedelta(days=-3, microseconds=1)),
        ("jsonb", Jsonb({"a": [1, None], "b": "x"})),
        ("int4[]", [1, None, -3]),
        ("text[]", ["a", None, 'quote"']),
        ("int4range", Range(1, 5)),
        ("inet", ipaddress.ip_interface("10.0.0.1/8")),
        ("cidr", ipaddress.ip_network("10.0.0.0/8")),
    ]
    seen: list[Any] = []
    with connected(dsn) as connection:
        for binary in (False, True):
            cursor = connection.cursor(binary=binary)
            for kind, value in values:
                asked = f"SELECT %s::{kind} AS value, %s::{kind} AS nothing"
                seen.append(cursor.execute(asked, (value, None)).fetchone())
        seen.append(
            connection.execute("SELECT now() > %s, %s", (dt.datetime(2000, 1, 1, tzinfo=dt.UTC), "x")).fetchone()
        )
    return seen


@scenario
def types_of_the_database(dsn: str) -> Any:
    """Enums, which the program looks up, and factories of rows."""
    with connected(dsn, row_factory=namedtuple_row) as connection:
        connection.execute("DROP TYPE IF EXISTS mood CASCADE")
        connection.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
        info: Any = EnumInfo.fetch(connection, "mood")
        register_enum(info, connection)
        row: Any = connection.execute("SELECT 'ok'::mood AS mood, ARRAY['sad']::mood[] AS moods").fetchone()
        other = connection.cursor(row_factory=dict_row).execute("SELECT 1 AS a, 'x' AS b").fetchall()
    return info.labels, row.mood.name, [one.name for one in row.moods], other


@scenario
def writes(dsn: str) -> Any:
    """What statements say: counts, RETURNING, several results, descriptions of columns."""
    with connected(dsn) as connection:
        cursor = connection.execute("INSERT INTO item (name, price) VALUES (%s, %s) RETURNING id, at", ("tea", 3))
        made = cursor.fetchone()
        assert made is not None
        seen: list[Any] = [made, cursor.rowcount, cursor.statusmessage]
        seen.append([(one.name, one.type_code, one.display_size, one.null_ok) for one in cursor.description or ()])
        cursor.execute("SELECT at FROM item WHERE id = %s", (made[0],))
        seen.append(cursor.fetchall())
        cursor.execute("INSERT INTO item (name) VALUES ('a'), ('b')")
        seen.append((cursor.rowcount, cursor.statusmessage, cursor.description))
        cursor.execute("SELECT 1; SELECT 2 WHERE false; UPDATE item SET price = 1")
        seen.append((cursor.fetchall(), cursor.nextset(), cursor.fetchall(), cursor.nextset(), cursor.rowcount))
        cursor.execute("")
        seen.append((cursor.rowcount, cursor.statusmessage))
        insert = sql.SQL("INSERT INTO {} (name) VALUES ({})").format(sql.Identifier("item"), sql.Literal("it's"))
        seen.append(cursor.execute(insert).rowcount)
        seen.append(cursor.execute("SELECT name, price FROM item ORDER BY id").fetchmany(2))
        seen.append(list(cursor))
        info = connection.info
        seen.append((info.server_version, info.transaction_status, info.parameter_status("TimeZone"), info.encoding))
    return seen


@scenario
def errors(dsn: str) -> Any:
    """Each kind of error, with its diagnostics; the connection goes on."""
    with connected(dsn, autocommit=True) as connection:
        ask = connection.execute
        ask("INSERT INTO item (name) VALUES ('tea')")
        seen = [
            outcome(lambda: ask("INSERT INTO item (name) VALUES ('tea')")),
            outcome(lambda: ask("INSERT INTO item (name, price) VALUES (%s, %s)", ("x", 5000))),
            outcome(lambda: ask("SELEC 1")),
            outcome(lambda: ask("SELECT * FROM nowhere WHERE id = %s", (1,))),
            outcome(lambda: ask("SELECT 1 / %s", (0,))),
            outcome(lambda: ask("SELECT 1; SELECT 1/0")),
            outcome(lambda: ask("DO $$ BEGIN RAISE EXCEPTION 'own' USING ERRCODE = 'ZZ123', HINT = 'h'; END $$")),
            outcome(lambda: ask("SELECT %s::int", ("no number",), prepare=True)),
            outcome(lambda: ask("SELECT * FROM nowhere", prepare=True)),
        ]
        cursor = connection.cursor()
        many = [("a",), ("tea",), ("b",)]
        seen.append(outcome(lambda: cursor.executemany("INSERT INTO item (name) VALUES (%s)", many)))
        seen.append(ask("SELECT count(*) FROM item").fetchone())
    return seen


@scenario
def transactions(dsn: str) -> Any:
    """Commit, rollback, savepoints, isolation levels, a failed transaction, reads after writes."""
    count = "SELECT count(*) FROM item"
    with connected(dsn) as connection:

        def counted() -> Any:
            return connection.execute(count).fetchone()

        connection.execute("INSERT INTO item (name) VALUES ('dropped')")
        seen: list[Any] = [counted(), connection.info.transaction_status]
        connection.rollback()
        seen.append(counted())
        connection.commit()
        with connection.transaction():
            connection.execute("INSERT INTO item (name) VALUES ('kept')")
            with suppress(ValueError), connection.transaction():
                connection.execute("INSERT INTO item (name) VALUES ('inner')")
                seen.append(counted())
                _break()
            seen.append(counted())
        seen.append(outcome(lambda: connection.execute("SELECT 1/0")))
        seen.append((connection.info.transaction_status, outcome(counted)))
        connection.rollback()
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        connection.read_only = True
        seen.append(outcome(lambda: connection.execute("INSERT INTO item (name) VALUES ('no')")))
        connection.rollback()
        seen.append(counted())
    return seen


@scenario
def cursors_of_the_server(dsn: str) -> Any:
    """Server-side cursors: iterated, scrolled, left early, in binary."""
    asked = "SELECT n, n::text AS word FROM generate_series(1, %s) AS n"
    with connected(dsn) as connection:
        with connection.cursor("one") as cursor:
            cursor.itersize = 30
            cursor.execute(asked, (100,))
            seen: list[Any] = [cursor.fetchone(), cursor.fetchmany(5), [one.name for one in cursor.description or ()]]
            seen.append([row[0] for row in cursor])
        with connection.cursor("two", scrollable=True, binary=True) as cursor:
            cursor.execute(asked, (50,))
            cursor.scroll(10)
            seen.append(cursor.fetchone())
            cursor.scroll(2, "absolute")
            seen.append(cursor.fetchmany(2))
        with connection.cursor("three") as cursor:
            cursor.execute("SELECT 1 WHERE false")
            seen.append(cursor.fetchall())
        seen.append(connection.execute("SELECT 5").fetchone())
    return seen


@scenario
def many_rows(dsn: str) -> Any:
    """5,000 rows written at once and read, streamed; a value of 3 MB; 40,000 parameters."""
    with connected(dsn) as connection:
        cursor = connection.cursor()
        cursor.executemany("INSERT INTO item (name, price) VALUES (%s, %s)", [(f"n{n}", n % 999) for n in range(5000)])
        seen: list[Any] = [cursor.rowcount]
        seen.append(cursor.execute("SELECT id, name, price FROM item ORDER BY id").fetchall())
        seen.append(list(cursor.stream("SELECT id FROM item ORDER BY id LIMIT %s", (50,))))
        seen.append(cursor.execute("SELECT repeat(%s, 3000000)", ("x",)).fetchone())
        seen.append(cursor.execute("SELECT length(%s)", (b"\0y" * 1_500_000,)).fetchone())
        places = ", ".join(["%s"] * 40_000)
        seen.append(cursor.execute(f"SELECT cardinality(ARRAY[{places}])", list(range(40_000))).fetchone())
        made = [("p",), ("q",)]
        cursor.executemany("INSERT INTO item (name) VALUES (%s) RETURNING id, name", made, returning=True)
        seen.append(cursor.fetchall())
        while cursor.nextset():
            seen.append(cursor.fetchall())
    return seen


@scenario
def streams_left_early(dsn: str) -> Any:
    """Rows one by one that nobody wants to their end, which the driver cancels; and an error among them."""
    seen: list[Any] = []
    with connected(dsn) as connection:
        cursor = connection.cursor()
        for rows in (5, 20_000):
            stream: Any = cursor.stream("SELECT n FROM generate_series(1, %s) AS n", (rows,))
            seen += [next(stream), next(stream)]
            stream.close()
            connection.rollback()
        seen.append(outcome(lambda: list(cursor.stream("SELECT 1 / (3 - n) FROM generate_series(1, 5) AS n"))))
        connection.rollback()
        seen.append(connection.execute("SELECT 5").fetchone())
    return seen


@scenario
def pipelines(dsn: str) -> Any:
    """Pipelines: results in order, errors in the middle, synchronized points."""
    with connected(dsn, autocommit=True) as connection:
        with connection.pipeline() as pipeline:
            one = connection.execute("INSERT INTO item (name) VALUES (%s) RETURNING id", ("a",))
            two = connection.execute("INSERT INTO item (name) VALUES (%s) RETURNING id", ("b",))
            seen: list[Any] = [one.fetchone(), two.fetchone()]
            three = connection.execute("SELECT name FROM item ORDER BY id")
            pipeline.sync()
            seen.append(three.fetchall())

        def fails() -> Any:
            with connection.pipeline():
                connection.execute("INSERT INTO item (name) VALUES (%s)", ("c",))
                connection.execute("INSERT INTO item (name) VALUES (%s)", ("a",))
                connection.execute("INSERT INTO item (name) VALUES (%s)", ("d",))

        seen.append(outcome(fails))
        seen.append(connection.execute("SELECT name FROM item ORDER BY id").fetchall())
    return seen


@scenario
def prepared(dsn: str) -> Any:
    """Statements that the driver prepares after a while, and forgets."""
    with connected(dsn, prepare_threshold=2) as connection:
        connection.prepared_max = 3
        seen = [connection.execute("SELECT %s::int + 1", (n,)).fetchone() for n in range(8)]
        for turn in range(12):
            asked = f"SELECT {turn % 6} + %s"
            seen += [connection.execute(asked, (n,)).fetchone() for n in range(4)]
        connection.execute("ALTER TABLE item ADD extra int DEFAULT 7")
        seen.append(connection.execute("SELECT name, extra FROM item", prepare=True).fetchall())
    return seen


@scenario
def copy(dsn: str) -> Any:
    """COPY both ways: rows, blocks, binary; and what goes wrong in it."""
    with connected(dsn, autocommit=True) as connection:
        cursor = connection.cursor()
        with cursor.copy("COPY item (name, price) FROM STDIN") as copy:
            for row in (("a", 1), ("b", None), ("tab\t", Decimal("2.5"))):
                copy.write_row(row)
        seen: list[Any] = [cursor.rowcount, cursor.statusmessage]
        with cursor.copy("COPY item (name, price) FROM STDIN (FORMAT csv)") as copy:
            copy.write("c,3\nd,4\n")
        with cursor.copy("COPY (SELECT name, price FROM item ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["text", "numeric"])
            seen.append(list(copy.rows()))
        with cursor.copy("COPY item (name, price) TO STDOUT") as copy:
            seen.append(b"".join(map(bytes, copy)))
        seen.append(cursor.rowcount)

        def bad(text: str, statement: str) -> Callable[[], Any]:
            def ask() -> Any:
                with cursor.copy(statement) as copy:
                    copy.write(text)

            return ask

        into = "COPY item (name, price) FROM STDIN"
        seen += [
            outcome(bad(*one))
            for one in (("x\tno number\n", into), ("a\t1\n", into), ("1\n", "COPY nowhere FROM STDIN"))
        ]
        try:
            with cursor.copy(into) as copy:
                copy.write("z\t1\n")
                _break()
        except ValueError as error:
            seen.append(error.args)
        seen.append(connection.execute("SELECT count(*) FROM item").fetchone())
    return seen


@scenario
def notices_and_notifications(dsn: str) -> Any:
    """Notices, and notifications of this connection and of another one."""
    heard: list[Any] = []
    with connected(dsn, autocommit=True) as connection:
        connection.add_notice_handler(lambda diag: heard.append((diag.severity, diag.message_primary)))
        connection.execute("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$")
        connection.add_notify_handler(lambda notify: heard.append((notify.channel, notify.payload)))
        connection.execute("LISTEN news")
        connection.execute("NOTIFY news, 'own'")
        with psycopg.connect(dsn, autocommit=True) as other:
            other.execute("NOTIFY news, 'first'")
        heard += [(one.channel, one.payload) for one in connection.notifies(timeout=30, stop_after=1)]
    return heard


@scenario
def settings_of_a_connection(dsn: str) -> Any:
    """What times are after the connection's zone has changed."""
    with connected(dsn) as connection:
        asked = "SELECT timestamptz '2024-01-01 00:00Z'"
        seen: list[Any] = [repr(connection.execute(asked).fetchone())]
        connection.execute("SET TIME ZONE 'Asia/Kolkata'")
        seen.append(repr(connection.execute(asked).fetchone()))
        seen.append(connection.info.parameter_status("TimeZone"))
    return seen


@scenario
def timeouts(dsn: str) -> Any:
    """What takes too long by the server's clock."""
    with connected(dsn, autocommit=True) as connection:
        connection.execute("SET statement_timeout = '100ms'")
        seen = [outcome(lambda: connection.execute("SELECT 4 FROM pg_sleep(30)"))]
        seen.append(connection.execute("SELECT 5").fetchone())
    return seen


@contextmanager
def cancelling(connection: psycopg.Connection[Any], cancel: Callable[[], Any]) -> Iterator[None]:
    """Cancel what is asked meanwhile, from another thread, until that ends."""
    ended = threading.Event()

    def cancel_until_the_end() -> None:
        while not ended.wait(0.1):
            if connection.info.transaction_status == TransactionStatus.ACTIVE:
                cancel()

    thread = threading.Thread(target=cancel_until_the_end)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


async def cancelled_tasks(dsn: str) -> Any:
    """Break off what a task asks, by the connection and by the task."""

    async def cancel(task: asyncio.Task[Any], how: Callable[[], Awaitable[Any]]) -> Any:
        while not task.done():
            await asyncio.sleep(0.1)
            if connection.info.transaction_status == TransactionStatus.ACTIVE:
                await how()
        return type(task.exception()) if not task.cancelled() else "cancelled"

    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        task = asyncio.create_task(connection.execute("SELECT 1 FROM pg_sleep(%s)", (60,)))
        seen: list[Any] = [await cancel(task, connection.cancel_safe)]
        task = asyncio.create_task(connection.execute("SELECT 2 FROM pg_sleep(60)"))

        async def by_the_task() -> None:
            task.cancel()

        seen.append(await cancel(task, by_the_task))
        return [*seen, await (await connection.execute("SELECT 3")).fetchone()]


@scenario
def cancelled(dsn: str) -> Any:
    """What another thread or a task breaks off, in each way there is; simple statements, and such with parameters."""
    with connected(dsn, autocommit=True) as connection:
        seen: list[Any] = []
        for cancel in (connection.cancel, connection.cancel_safe):
            for asked, parameters in (("SELECT 4 FROM pg_sleep(60)", None), ("SELECT 4 FROM pg_sleep(%s)", (60,))):
                with cancelling(connection, cancel):
                    seen.append(outcome(lambda: connection.execute(asked, parameters)))  # noqa: B023 - at once
        seen.append(connection.execute("SELECT 5").fetchone())
    return seen, asyncio.run(cancelled_tasks(dsn))


@scenario
def ended_by_the_server(dsn: str) -> Any:
    """The server ends the connection while it works for it."""
    connection = psycopg.connect(dsn, autocommit=True)
    first = outcome(lambda: connection.execute("SELECT pg_terminate_backend(pg_backend_pid())"))
    return first, connection.closed, connection.broken, outcome(lambda: connection.execute("SELECT 1"))


@scenario
def pools(dsn: str) -> Any:
    """A pool of connections that threads take from."""
    with ConnectionPool(dsn, min_size=1, max_size=3) as pool:
        with pool.connection() as connection:
            connection.execute(_ITEM)

        def order(number: int) -> Any:
            with pool.connection() as connection:
                made = connection.execute("INSERT INTO item (name) VALUES (%s) RETURNING id", (f"item {number}",))
                row = made.fetchone()
                assert row is not None
                return number, connection.execute("SELECT name FROM item WHERE id = %s", (row[0],)).fetchone()

        with ThreadPoolExecutor(3) as threads:
            seen = list(threads.map(order, range(9)))
        with pool.connection() as connection:
            return seen, connection.execute("SELECT count(*) FROM item").fetchone()


@scenario
def alike_at_once(dsn: str) -> Any:
    """Threads whose transactions ask the same at once: what each reads after its write is its own."""
    barrier = threading.Barrier(3)
    with connected(dsn) as connection:
        connection.execute("ALTER TABLE item DROP CONSTRAINT item_name_key")

    def order(_number: int) -> Any:
        with psycopg.connect(dsn) as connection:
            made = connection.execute("INSERT INTO item (name) VALUES ('same') RETURNING id").fetchone()
            barrier.wait(30)
            return made, connection.execute("SELECT max(id) FROM item WHERE name = 'same'").fetchone()

    with ThreadPoolExecutor(3) as threads:
        return sorted(threads.map(order, range(3)))


@scenario
def tasks(dsn: str) -> Any:
    """The asyncio half: connections, cursors, a pool, a pipeline, COPY."""

    async def main() -> Any:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            await connection.execute(_ITEM)
            cursor = connection.cursor()
            await cursor.executemany("INSERT INTO item (name) VALUES (%s)", [("a",), ("b",)])
            async with cursor.copy("COPY item (name) FROM STDIN") as copy:
                await copy.write_row(("c",))
            seen: list[Any] = [await (await connection.execute("SELECT id, name FROM item ORDER BY id")).fetchall()]
            async with connection.transaction(), connection.cursor("named") as named:
                await named.execute("SELECT n FROM generate_series(1, 20) AS n")
                seen.append([row[0] async for row in named])
            async with connection.pipeline():
                one = await connection.execute("SELECT 1")
                two = await connection.execute("SELECT 2")
                seen += [await one.fetchone(), await two.fetchone()]
        async with AsyncConnectionPool(dsn, min_size=1, max_size=3, open=False) as pool:

            async def ask(number: int) -> Any:
                async with pool.connection() as taken:
                    return await (await taken.execute("SELECT %s + 1", (number,))).fetchone()

            seen.append(await asyncio.gather(*(ask(number) for number in range(6))))
        return seen

    return asyncio.run(main())


@scenario
def connections_that_fail(dsn: str) -> Any:
    """A wrong password, a database that is not there."""
    seen: list[Any] = [
        outcome(lambda: psycopg.connect(dsn, password="wrong"))[0],
        outcome(lambda: psycopg.connect(dsn, dbname="nowhere"))[0],
    ]
    with psycopg.connect(dsn) as connection:
        seen.append(connection.execute("SELECT 1").fetchone())
    return seen


@scenario
def sqlalchemy(dsn: str) -> Any:
    """SQLAlchemy's engine, which nothing in the code names."""
    return orm(dsn.replace("postgresql://", "postgresql+psycopg://"))
