"""What programs do with psycopg2: each scenario is given a connection string and returns all that it saw."""

from __future__ import annotations

import datetime as dt
import io
import json
import select
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from typing import Any, Final

import psycopg2
from psycopg2 import errors, extensions, extras, pool, sql

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
    """Give what is asked; of an exception its class, arguments, codes and diagnostics."""
    try:
        return ask()
    except psycopg2.Error as error:
        names = [name for name in dir(error.diag) if not name.startswith("_")]
        told = {name: getattr(error.diag, name) for name in names}
        return type(error), error.args, error.pgcode, error.pgerror, told


def _break() -> None:
    raise ValueError("the program's own")


@contextmanager
def connected(dsn: str, **options: Any) -> Iterator[Any]:
    """Connect, with a table of items."""
    with closing(psycopg2.connect(dsn, **options)) as connection:
        connection.cursor().execute(_ITEM)
        connection.commit()
        yield connection


def asked(connection: Any, statement: Any, parameters: Any = None) -> Any:
    """Ask and give all rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


@scenario
def common_types(dsn: str) -> Any:
    """Values of each common type, their limits, and NULL."""
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
        ("text", "größe 漢字 it's \\ 100%"),
        ("text", "a" * 70_000),
        ("bytea", b""),
        ("bytea", bytes(range(256))),
        ("bytea", memoryview(b"\0\1")),
        ("date", dt.date(2024, 2, 29)),
        ("time", dt.time(23, 59, 59, 999_999)),
        ("timestamp", dt.datetime(2024, 5, 6, 7, 8, 9)),  # noqa: DTZ001 - of no zone
        ("timestamptz", dt.datetime(2024, 5, 6, 7, 8, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))),
        ("interval", dt.timedelta(days=-3, microseconds=1)),
        ("jsonb", extras.Json({"a": [1, None], "b": "x"})),
        ("int4[]", [1, None, -3]),
        ("text[]", ["a", None, 'quote"']),
        ("int4range", extras.NumericRange(1, 5)),
        ("tstzrange", extras.DateTimeTZRange(None, dt.datetime(2024, 1, 1, tzinfo=dt.UTC), "[]")),
    ]
    seen: list[Any] = []
    with connected(dsn) as connection:
        cursor = connection.cursor()
        for kind, value in values:
            cursor.execute(f"SELECT CAST(%s AS {kind}) AS value, %s::{kind} AS nothing", (value, None))
            row = cursor.fetchone()
            seen.append(bytes(row[0]) if isinstance(row[0], memoryview) else row)
        seen += asked(connection, "SELECT 'infinity'::float8, '5'::money::text, 'a=>1'::text, '12:30+02'::timetz")
        seen.append(asked(connection, "SELECT %(a)s, %(b)s, '100%%'", {"a": 1, "b": None}))
    return seen


@scenario
def types_that_are_registered(dsn: str) -> Any:
    """hstore, uuid, json, inet, composites, casters and adapters of one's own."""

    class Point:
        def __init__(self, x: float, y: float) -> None:
            self.x, self.y = x, y

    def adapted(point: Point) -> Any:
        return extensions.AsIs(f"'({extensions.adapt(point.x)}, {extensions.adapt(point.y)})'")

    extensions.register_adapter(Point, adapted)
    with connected(dsn) as connection:
        asked_first = connection.cursor()
        asked_first.execute("CREATE EXTENSION IF NOT EXISTS hstore")
        asked_first.execute("DROP TYPE IF EXISTS card; CREATE TYPE card AS (value int, suit text)")
        connection.commit()
        extras.register_hstore(connection)
        extras.register_uuid(conn_or_curs=connection)
        extras.register_inet(conn_or_curs=connection)
        extras.register_default_jsonb(connection, loads=lambda text: ("loaded", json.loads(text)))
        card = extras.register_composite("card", connection)
        point = extensions.new_type((600,), "POINT", lambda value, _cursor: None if value is None else f"<{value}>")
        extensions.register_type(point, connection)
        seen = asked(
            connection,
            "SELECT %s, 'a=>1, b=>NULL'::hstore, %s::uuid, '10.0.0.1/8'::inet, '{\"k\": 1}'::jsonb, %s::point, "
            "(8, 'hearts')::card",
            ({"x": "y", "z": None}, uuid.UUID(int=7), Point(1.5, 2)),
        )
        return [repr(one) for one in seen[0]], card.name, extensions.quote_ident('we"ird', connection)


@scenario
def writes(dsn: str) -> Any:
    """What statements say: counts, RETURNING, descriptions of columns, several statements in one."""
    with connected(dsn) as connection:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO item (name, price) VALUES (%s, %s) RETURNING id, at", ("tea", 3))
        made = cursor.fetchone()
        seen: list[Any] = [made, cursor.rowcount, cursor.statusmessage, cursor.query, cursor.lastrowid]
        seen.append([tuple(one) for one in cursor.description])
        cursor.execute("SELECT at FROM item WHERE id = %s", (made[0],))
        seen.append(cursor.fetchall())
        cursor.execute("INSERT INTO item (name) VALUES ('a'), ('b')")
        seen.append((cursor.rowcount, cursor.statusmessage, cursor.description))
        seen.append(outcome(cursor.fetchone))
        cursor.execute("SELECT 1; SELECT 2; UPDATE item SET price = 1")
        seen.append((cursor.rowcount, cursor.statusmessage))
        cursor.execute("UPDATE item SET price = 2; SELECT count(*) FROM item")
        seen.append((cursor.fetchone(), cursor.rowcount, cursor.rownumber))
        insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier("item"), sql.Identifier("name"), sql.Placeholder()
        )
        cursor.execute(insert, ("it's",))
        seen.append((insert.as_string(connection), cursor.mogrify("SELECT %s, %s", ("x", dt.date(2024, 1, 2)))))
        cursor.execute("SELECT name, price FROM item ORDER BY id")
        seen += [cursor.fetchmany(2), cursor.fetchone(), list(cursor)]
        cursor.scroll(0, "absolute")
        seen.append(cursor.fetchone())
        cursor.executemany("INSERT INTO item (name, price) VALUES (%s, %s)", [(f"n{n}", n) for n in range(5)])
        seen.append((cursor.rowcount, cursor.statusmessage, cursor.query))
        cursor.executemany(
            "UPDATE item SET price = %(p)s WHERE name = %(n)s", [{"p": 9, "n": "n1"}, {"p": 8, "n": "n2"}]
        )
        seen.append(cursor.rowcount)
        rows = [(f"v{n}", n) for n in range(7)]
        seen.append(
            extras.execute_values(
                cursor, "INSERT INTO item (name, price) VALUES %s RETURNING id", rows, page_size=3, fetch=True
            )
        )
        extras.execute_batch(cursor, "UPDATE item SET price = %s WHERE name = %s", [(1, "v1"), (2, "v2")], page_size=1)
        cursor.execute("CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2'")
        seen.append(cursor.callproc("twice", (21,)))
        seen.append(cursor.fetchall())
        cursor.callproc("twice", {"n": 4})
        seen.append((cursor.fetchone(), cursor.query))
    return seen


@scenario
def errors_of_all_kinds(dsn: str) -> Any:
    """Errors with their diagnostics; what the driver refuses by itself; the connection goes on."""
    with connected(dsn) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        ask = cursor.execute
        ask("INSERT INTO item (name) VALUES ('tea')")
        many = [("a",), ("tea",), ("b",)]
        seen = [
            outcome(lambda: ask("INSERT INTO item (name) VALUES ('tea')")),
            outcome(lambda: ask("INSERT INTO item (name, price) VALUES (%s, %s)", ("x", 5000))),
            outcome(lambda: ask("SELEC 1")),
            outcome(lambda: ask("SELECT * FROM nowhere WHERE id = %s", (1,))),
            outcome(lambda: ask("SELECT 1 / %s", (0,))),
            outcome(lambda: ask("SELECT 1; SELECT 1/0")),
            outcome(lambda: ask("DO $$ BEGIN RAISE EXCEPTION 'own' USING ERRCODE = 'ZZ123', HINT = 'h'; END $$")),
            outcome(lambda: ask("")),
            outcome(lambda: ask("-- nothing")),
            outcome(lambda: ask("SELECT 'größe' + 1")),
            outcome(lambda: cursor.executemany("INSERT INTO item (name) VALUES (%s)", many)),
            outcome(lambda: connection.cursor("named").execute("SELECT 1")),
        ]
        for parameters in ((), (1, 2), ("a", object())):
            try:
                ask("SELECT %s, 1", parameters)
            except (TypeError, IndexError, psycopg2.ProgrammingError) as error:
                seen.append((type(error), str(error)))
        try:
            ask("INSERT INTO item (name) VALUES ('tea')")
        except errors.UniqueViolation as error:
            seen.append((error.diag.constraint_name, error.cursor is cursor))
        seen.append(asked(connection, "SELECT count(*) FROM item"))
    return seen


@scenario
def transactions(dsn: str) -> Any:
    """Commit, rollback, savepoints, a failed transaction, ``with`` blocks, errors of a commit."""
    with connected(dsn) as connection:

        def counted() -> Any:
            return asked(connection, "SELECT count(*) FROM item")

        def insert(name: str) -> None:
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO item (name) VALUES (%s)", (name,))

        insert("dropped")
        seen: list[Any] = [counted(), connection.status, connection.get_transaction_status()]
        connection.rollback()
        seen += [counted(), connection.status]
        connection.commit()
        seen.append((connection.status, connection.info.transaction_status))
        with connection:
            insert("kept")
        with suppress(ValueError), connection:
            insert("broken")
            _break()
        seen.append(counted())
        cursor = connection.cursor()
        cursor.execute("SAVEPOINT here")
        insert("inner")
        seen.append(outcome(lambda: insert("inner")))
        seen.append(connection.get_transaction_status())
        seen.append(outcome(counted))
        cursor.execute("ROLLBACK TO SAVEPOINT here")
        seen.append(counted())
        connection.commit()
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS both_of_two "
            "(id int PRIMARY KEY, other int REFERENCES both_of_two DEFERRABLE INITIALLY DEFERRED)"
        )
        cursor.execute("INSERT INTO both_of_two VALUES (1, 99)")
        seen.append(outcome(connection.commit))
        seen.append((connection.status, counted()))
        connection.rollback()
        connection.autocommit = True
        with connection:
            insert("in a block of its own")
            seen.append(connection.get_transaction_status())
        seen.append((connection.get_transaction_status(), counted()))
    return seen


@scenario
def settings_of_a_connection(dsn: str) -> Any:
    """Isolation levels, read only, autocommit, encodings, zones, what the connection says of itself."""
    with connected(dsn) as connection:

        def shown() -> Any:
            names = "transaction_isolation", "transaction_read_only", "transaction_deferrable"
            return [asked(connection, f"SHOW {name}") for name in names]

        seen: list[Any] = [shown()]
        connection.rollback()
        connection.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=True)
        seen += [shown(), connection.isolation_level, connection.readonly, connection.deferrable]
        seen.append(outcome(lambda: connection.cursor().execute("INSERT INTO item (name) VALUES ('no')")))
        connection.rollback()
        connection.autocommit = True
        seen.append(shown())
        connection.set_session(isolation_level=extensions.ISOLATION_LEVEL_REPEATABLE_READ, readonly=False)
        seen.append(shown())
        connection.autocommit = False
        connection.isolation_level = extensions.ISOLATION_LEVEL_READ_COMMITTED
        connection.readonly = connection.deferrable = None
        seen.append(shown())
        connection.set_isolation_level(extensions.ISOLATION_LEVEL_AUTOCOMMIT)
        seen += [connection.autocommit, shown()]
        connection.set_isolation_level(extensions.ISOLATION_LEVEL_SERIALIZABLE)
        seen += [connection.autocommit, shown()]
        connection.commit()
        moment = "SELECT timestamptz '2024-01-01 00:00Z'"
        seen.append(repr(asked(connection, moment)))
        asked(connection, "SET TIME ZONE 'Asia/Kolkata'; SELECT 1")
        seen += [repr(asked(connection, moment)), connection.get_parameter_status("TimeZone")]
        connection.rollback()
        connection.set_client_encoding("LATIN1")
        seen += [connection.encoding, asked(connection, "SELECT %s, 'ö'", ("größe",))]
        seen.append(outcome(lambda: asked(connection, "SELECT 'ö' + 1")))
        connection.rollback()
        connection.reset()
        seen += [connection.encoding, shown(), connection.status]
        info = connection.info
        seen.append((info.server_version, info.transaction_status, info.status, info.protocol_version))
        seen.append((connection.server_version, connection.protocol_version, connection.closed, connection.notices))
        seen.append(connection.get_backend_pid() == info.backend_pid)
    return [*seen, connection.closed, outcome(connection.cursor)]


@scenario
def rows_of_many_shapes(dsn: str) -> Any:
    """Factories of cursors: of the connection, of a cursor, the program's own."""

    class Loud(extensions.cursor):
        said: Final[list[Any]] = []

        def execute(self, query: Any, args: Any = None) -> None:
            self.said.append(self.mogrify(query, args))
            extensions.cursor.execute(self, query, args)

    class Polite(extensions.connection):
        def commit(self) -> None:
            Loud.said.append("please")
            super().commit()

    seen: list[Any] = []
    Loud.said.clear()
    with connected(dsn, connection_factory=Polite) as connection:
        connection.cursor().execute("INSERT INTO item (name, price) VALUES ('tea', 3), ('cake', 4)")
        for factory in (extras.DictCursor, extras.RealDictCursor, extras.NamedTupleCursor, Loud):
            with connection.cursor(cursor_factory=factory) as cursor:
                cursor.execute("SELECT id, name, price FROM item ORDER BY id")
                first = cursor.fetchone()
                seen.append(
                    (first if factory is not extras.DictCursor else dict(first), cursor.fetchmany(1), list(cursor))
                )
        with connection.cursor("named", cursor_factory=extras.RealDictCursor) as cursor:
            cursor.execute("SELECT id, name FROM item ORDER BY id")
            seen.append(list(cursor))
        seen.append(type(connection).__name__)
        connection.commit()
    with connected(dsn, cursor_factory=extras.NamedTupleCursor) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 1 AS one, 2 AS two")
        seen.append(cursor.fetchone().two)
    return seen, Loud.said, isinstance(cursor, extras.NamedTupleCursor)


@scenario
def cursors_of_the_server(dsn: str) -> Any:
    """Server-side cursors: iterated, scrolled, left early, with hold; one that a function opened."""
    numbers = "SELECT n, n::text AS word FROM generate_series(1, %s) AS n"
    with connected(dsn) as connection:
        with connection.cursor("one") as cursor:
            cursor.itersize = 30
            cursor.execute(numbers, (100,))
            seen: list[Any] = [
                cursor.description,
                cursor.rowcount,
                cursor.fetchone(),
                cursor.fetchmany(5),
                cursor.query,
            ]
            seen.append([row[0] for row in cursor])
        with connection.cursor("two", scrollable=True) as cursor:
            cursor.execute(numbers, (50,))
            cursor.scroll(10)
            seen.append(cursor.fetchone())
            cursor.scroll(2, mode="absolute")
            seen += [cursor.fetchmany(2), cursor.fetchall()[-1]]
            seen.append(outcome(lambda: cursor.execute("SELECT 1")))
        with connection.cursor("three") as cursor:
            cursor.execute("SELECT 1 WHERE false")
            seen += [cursor.fetchall(), cursor.fetchone()]
        with connection.cursor('we"ird', withhold=True) as cursor:
            cursor.execute(numbers, (5,))
            connection.commit()
            for row in cursor:
                seen.append(row)
                break
        connection.commit()
        plain = connection.cursor()
        plain.execute(
            "CREATE OR REPLACE FUNCTION opened(refcursor) RETURNS refcursor LANGUAGE plpgsql AS "
            "$$ BEGIN OPEN $1 FOR SELECT 7 AS n; RETURN $1; END $$"
        )
        plain.callproc("opened", ["found"])
        with connection.cursor("found") as cursor:
            seen.append(cursor.fetchall())
        with connection.cursor("never used"):
            pass
        gone = connection.cursor("gone")
        gone.execute(numbers, (3,))
        connection.commit()
        seen.append(outcome(gone.fetchone))
        seen.append(asked(connection, "SELECT 5"))
    return seen


@scenario
def many_rows(dsn: str) -> Any:
    """5,000 rows written and read, and a value of 3 MB each way."""
    with connected(dsn) as connection:
        cursor = connection.cursor()
        rows = [(f"n{n}", n % 999) for n in range(5000)]
        extras.execute_values(cursor, "INSERT INTO item (name, price) VALUES %s", rows, page_size=1000)
        seen: list[Any] = [cursor.rowcount, asked(connection, "SELECT id, name, price FROM item ORDER BY id")]
        seen.append(asked(connection, "SELECT repeat(%s, 3000000)", ("x",)))
        seen.append(asked(connection, "SELECT length(%s)", (b"\0y" * 1_500_000,)))
    return seen


@scenario
def copy(dsn: str) -> Any:
    """COPY both ways, by each of the three methods; and what goes wrong in it."""

    class Bad(io.StringIO):
        def read(self, _size: int | None = -1) -> str:
            raise ValueError("no more tea")

        def write(self, _text: str) -> int:
            raise ValueError("no room for tea")

    with connected(dsn) as connection:
        cursor = connection.cursor()
        cursor.copy_from(io.StringIO("a\t1\nb\t\\N\n"), "item", columns=(one for one in ("name", "price")))
        seen: list[Any] = [cursor.rowcount, cursor.statusmessage, cursor.query, cursor.description]
        cursor.copy_from(io.BytesIO(b"c|3\nd|x\n"), "item", sep="|", null="x", columns=["name", "price"], size=4)
        out = io.StringIO()
        cursor.copy_to(out, "item", columns=("name", "price"))
        seen += [out.getvalue(), cursor.rowcount, cursor.statusmessage]
        raw = io.BytesIO()
        cursor.copy_expert("COPY (SELECT name, price FROM item ORDER BY id) TO STDOUT (FORMAT binary)", raw)
        seen.append(raw.getvalue())
        cursor.copy_expert(sql.SQL("COPY {} (name) FROM STDIN").format(sql.Identifier("item")), io.StringIO("e\n" * 1))
        empty = io.StringIO()
        cursor.copy_expert("COPY (SELECT 1 WHERE false) TO STDOUT", empty)
        cursor.execute("SELECT count(*) FROM item")
        seen += [empty.getvalue(), cursor.statusmessage, cursor.fetchone()]
        connection.commit()
        for file, table in ((io.StringIO("a\t1\n"), "item"), (io.StringIO(""), "nowhere"), (Bad(), "item")):
            seen.append(outcome(lambda: cursor.copy_from(file, table, columns=("name", "price"))))  # noqa: B023 - at once
            connection.rollback()
        seen.append(outcome(lambda: cursor.copy_to(io.StringIO(), "nowhere")))
        connection.rollback()
        try:
            cursor.copy_to(Bad(), "item")
        except ValueError as error:
            seen.append(str(error))
        connection.rollback()
        try:
            cursor.copy_from(object(), "item")
        except TypeError as error:
            seen.append(str(error))
        seen.append(asked(connection, "SELECT name, price FROM item ORDER BY id"))
    return seen


@scenario
def notices_and_notifications(dsn: str) -> Any:
    """RAISE NOTICE and warnings; LISTEN by select, with what others and the connection itself say."""
    heard: list[Any] = []
    with connected(dsn) as connection:
        connection.autocommit = True
        del connection.notices[:]
        cursor = connection.cursor()
        cursor.execute("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two' USING HINT = 'h'; END $$")
        heard.append(list(connection.notices))
        cursor.execute("DO $$ BEGIN FOR n IN 1..60 LOOP RAISE NOTICE 'number %', n; END LOOP; END $$")
        heard += [list(connection.notices), len(connection.notices)]
        cursor.execute("LISTEN news")
        cursor.execute("NOTIFY news, 'own'")
        heard += [(one.channel, one.payload) for one in connection.notifies]
        del connection.notifies[:]
        with closing(psycopg2.connect(dsn)) as other:
            other.autocommit = True
            other.cursor().execute("NOTIFY news, 'größe'; NOTIFY news, 'second'")
        while len(heard) < 6:
            assert select.select([connection], [], [], 30) != ([], [], [])
            connection.poll()
            while connection.notifies:
                one = connection.notifies.pop(0)
                heard.append((one.channel, one.payload, one.pid == connection.get_backend_pid()))
        cursor.execute("UNLISTEN news")
    return heard


@scenario
def timeouts_and_cancels(dsn: str) -> Any:
    """What takes too long by the server's clock, and what another thread breaks off."""
    with connected(dsn) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SET statement_timeout = '100ms'")
        seen = [outcome(lambda: cursor.execute("SELECT 4 FROM pg_sleep(30)")), asked(connection, "SELECT 5")]
        cursor.execute("SET statement_timeout = 0")
        ended = threading.Event()

        def cancel_until_the_end() -> None:
            while not ended.wait(0.1):
                if connection.get_transaction_status() == extensions.TRANSACTION_STATUS_ACTIVE:
                    connection.cancel()

        thread = threading.Thread(target=cancel_until_the_end)
        thread.start()
        seen.append(outcome(lambda: cursor.execute("SELECT 6 FROM pg_sleep(60)")))
        ended.set()
        thread.join()
        seen.append(asked(connection, "SELECT 7"))
    return seen


@scenario
def ended_by_the_server(dsn: str) -> Any:
    """The server ends the connection while it works for it."""
    connection = psycopg2.connect(dsn)
    cursor = connection.cursor()
    first = outcome(lambda: cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())"))
    return first, connection.closed, outcome(lambda: cursor.execute("SELECT 1")), outcome(connection.commit)


@scenario
def connections_that_fail(dsn: str) -> Any:
    """A wrong password, a database that is not there, nobody who listens."""
    seen: list[Any] = [
        outcome(lambda: psycopg2.connect(dsn, password="wrong")),
        outcome(lambda: psycopg2.connect(dsn, dbname="nowhere")),
        outcome(lambda: psycopg2.connect("this is no dsn")),
    ]
    with connected(dsn) as connection:
        seen.append(asked(connection, "SELECT 1"))
    return seen


@scenario
def pools(dsn: str) -> Any:
    """A pool of connections that threads take from, and threads that share one."""
    taken = pool.ThreadedConnectionPool(1, 3, dsn)
    connection = taken.getconn()
    connection.cursor().execute(_ITEM)
    connection.commit()
    taken.putconn(connection)

    def order(number: int) -> Any:
        connection = taken.getconn()
        try:
            made = asked(connection, "INSERT INTO item (name) VALUES (%s) RETURNING id", (f"item {number}",))
            found = asked(connection, "SELECT name FROM item WHERE id = %s", made[0])
            connection.commit()
        finally:
            taken.putconn(connection)
        return number, found

    with ThreadPoolExecutor(3) as threads:
        seen: list[Any] = list(threads.map(order, range(9)))
    with connected(dsn) as shared, ThreadPoolExecutor(3) as threads:
        seen.append(list(threads.map(lambda number: asked(shared, "SELECT %s + 1", (number,)), range(9))))
    taken.closeall()
    return seen


@scenario
def named_at_the_start(dsn: str) -> Any:
    """What a connection is told to be when it is made holds before anything is asked: how it quotes, its name."""
    seen: list[Any] = []
    for strict in ("on", "off"):
        options = f"-c standard_conforming_strings={strict} -cTimeZone=Asia/Tokyo"
        with closing(psycopg2.connect(dsn, options=options, application_name="kiosk")) as connection:
            names = "standard_conforming_strings", "application_name", "TimeZone"
            seen += map(connection.get_parameter_status, names)
            text = psycopg2.extensions.adapt("a\\b")
            text.prepare(connection)
            seen.append(text.getquoted())
    return seen


@scenario
def ended_by_another_thread(dsn: str) -> Any:
    """A thread commits all the time on the connection by which another asks: each transaction is ended once."""
    with connected(dsn) as shared:
        over = threading.Event()

        def committing() -> None:
            while not over.is_set():
                shared.commit()

        thread = threading.Thread(target=committing)
        thread.start()
        seen: list[Any] = []
        for number in range(40):
            seen.append(asked(shared, "SELECT %s", (number,)))
            shared.commit()
        over.set()
        thread.join()
        return seen


@scenario
def alike_at_once(dsn: str) -> Any:
    """Threads whose transactions ask the same at once: what each reads after its write is its own."""
    barrier = threading.Barrier(3)
    with connected(dsn) as connection:
        connection.cursor().execute("ALTER TABLE item DROP CONSTRAINT item_name_key")
        connection.commit()

    def order(_number: int) -> Any:
        with closing(psycopg2.connect(dsn)) as connection, connection:
            made = asked(connection, "INSERT INTO item (name) VALUES ('same') RETURNING id")
            barrier.wait(30)
            return made, asked(connection, "SELECT max(id) FROM item WHERE name = 'same'")

    with ThreadPoolExecutor(3) as threads:
        return sorted(threads.map(order, range(3)))


def wait(connection: Any) -> None:
    """Wait as the driver's documentation says."""
    while (state := connection.poll()) != extensions.POLL_OK:
        if state == extensions.POLL_WRITE:
            select.select([], [connection.fileno()], [], 30)
        elif state == extensions.POLL_READ:
            select.select([connection.fileno()], [], [], 30)


@scenario
def connections_that_do_not_wait(dsn: str) -> Any:
    """``async_=1``: what is asked is waited for by the program."""
    connection = psycopg2.connect(dsn, async_=1)
    wait(connection)
    cursor = connection.cursor()
    seen: list[Any] = [connection.async_, connection.autocommit]

    def ask(statement: str, parameters: Any = None) -> Any:
        cursor.execute(statement, parameters)
        busy = connection.isexecuting()
        wait(connection)
        return busy, cursor.fetchall() if cursor.description else cursor.statusmessage

    seen += [ask("SELECT %s::int + 1, 'x'", (4,)), ask("CREATE TEMPORARY TABLE passing (n int)")]
    seen += [outcome(lambda: ask("SELECT 1/0")), ask("SELECT 2"), outcome(connection.commit)]
    seen.append(outcome(lambda: connection.cursor("named")))
    cursor.execute("SELECT 3")
    seen.append(outcome(lambda: cursor.execute("SELECT 4")))
    wait(connection)
    seen.append(cursor.fetchone())
    cursor.callproc("abs", (-5,))
    wait(connection)
    seen.append(cursor.fetchone())
    dropped = connection.cursor()
    dropped.execute("SELECT 5")
    del dropped
    seen.append(outcome(lambda: wait(connection)))
    seen.append(ask("SELECT 6"))
    connection.close()
    failing = psycopg2.connect(dsn, async_=True, dbname="nowhere")
    seen.append(outcome(lambda: wait(failing)))
    return seen


@scenario
def in_two_phases(dsn: str) -> Any:
    """Transactions in two phases, so far as a server allows them that prepares none."""
    with connected(dsn) as connection:
        xid = connection.xid(42, "transaction", "branch")
        connection.tpc_begin(xid)
        connection.cursor().execute("INSERT INTO item (name) VALUES ('one phase')")
        connection.tpc_commit()
        connection.tpc_begin("plain")
        connection.cursor().execute("INSERT INTO item (name) VALUES ('two phases')")
        seen: list[Any] = [outcome(connection.tpc_prepare)]
        connection.tpc_rollback()
        seen += [asked(connection, "SELECT name FROM item"), connection.tpc_recover()]
    return seen


@scenario
def sqlalchemy(dsn: str) -> Any:
    """SQLAlchemy's engine, which nothing in the code names."""
    return orm(dsn.replace("postgresql://", "postgresql+psycopg2://"))
