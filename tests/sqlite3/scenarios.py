"""What programs do with a connection: each scenario is given a way to connect and returns all that it saw."""

from __future__ import annotations

import datetime as dt
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

__all__ = ["SCENARIOS", "Connect", "error_of", "filled"]

Connect = Callable[..., Any]
"""As ``sqlite3.connect`` with a database; untyped, because much of what follows is wrong use."""

_SCHEMA = "CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, name TEXT UNIQUE, price REAL, data BLOB)"


def filled(connect: Connect, **options: Any) -> Any:
    """Open a database with four items in it."""
    connection = connect(**options)
    connection.execute("DROP TABLE IF EXISTS item")
    connection.execute(_SCHEMA)
    rows = [("tea", 1.5, b"\x00\xff"), ("coffee", -0.0, b""), ("größe 漢字", 1e308, None), (None, None, b"x" * 70_000)]
    connection.executemany("INSERT INTO item (name, price, data) VALUES (?, ?, ?)", rows)
    connection.commit()
    return connection


def error_of(do: Callable[[], Any]) -> Any:
    """Give the exception of a call as its class, arguments and attributes; else what it gives."""
    try:
        return do()
    except Exception as error:  # noqa: BLE001 - which one it is, is what is looked at
        return type(error), error.args, vars(error)


def types_of_values(connect: Connect) -> Any:
    """Each type that SQLite stores comes back as it was bound, also at the limits of integers."""
    values = [
        0,
        -1,
        2**31,
        2**40 + 1,
        2**63 - 1,
        -(2**63),
        1.0,
        0.1,
        float("inf"),
        float("nan"),
        "",
        "a\0b",
        "漢",
        b"",
        b"\x80",
    ]
    values += [None, True, bytearray(b"mutable"), memoryview(b"view")]
    with closing(connect()) as connection:
        connection.execute("DROP TABLE IF EXISTS v")
        connection.execute("CREATE TABLE v (n INTEGER, v)")
        connection.executemany("INSERT INTO v VALUES (?, ?)", enumerate(values))
        return connection.execute("SELECT n, v, typeof(v) FROM v ORDER BY n").fetchall()


def fetching(connect: Connect) -> Any:
    """Rows come by every method of a cursor, in any mixture, and none after the last."""
    seen: list[Any] = []
    with closing(filled(connect)) as connection:
        cursor = connection.cursor()
        seen += [
            cursor.description,
            cursor.rowcount,
            cursor.lastrowid,
            cursor.arraysize,
            cursor.connection is connection,
        ]
        seen.append(cursor.execute("SELECT id, name FROM item ORDER BY id") is cursor)
        seen += [cursor.fetchone(), cursor.fetchmany(), cursor.fetchmany(1), next(cursor), cursor.fetchone()]
        seen += [
            cursor.fetchone(),
            cursor.fetchmany(3),
            cursor.fetchall(),
            list(cursor),
            cursor.description,
            cursor.rowcount,
        ]
        cursor.arraysize = 3
        seen.append(cursor.execute("SELECT name FROM item").fetchmany())
        seen += list(cursor.execute("SELECT price FROM item"))
        seen += [cursor.execute("SELECT 1 WHERE 0").fetchall(), cursor.execute("SELECT 2").fetchmany(size=5)]
        seen.append(iter(cursor) is cursor)
        for (number,) in connection.execute("SELECT id FROM item ORDER BY id"):
            seen.append(connection.execute("SELECT name FROM item WHERE id = ?", (number,)).fetchone())
            if number == 3:
                break
        return seen


def counts(connect: Connect) -> Any:
    """Counts of rows and the last id are told after each statement."""
    seen: list[Any] = []
    with closing(filled(connect)) as connection:
        cursor = connection.cursor()
        for sql in (
            "INSERT INTO item (name) VALUES ('juice')",
            "UPDATE item SET price = 2 WHERE price IS NULL",
            "DELETE FROM item WHERE id > 3",
            "SELECT 1",
            "REPLACE INTO item (id, name) VALUES (900, 'milk')",
        ):
            cursor.execute(sql)
            seen += [
                cursor.rowcount,
                cursor.lastrowid,
                cursor.description,
                connection.total_changes,
                connection.in_transaction,
            ]
        cursor.executemany(
            "INSERT INTO item (name) VALUES (:name)", iter([{"name": "a"}, {"name": "b", "more": object()}])
        )
        seen += [cursor.rowcount, cursor.lastrowid]
        cursor.execute("INSERT INTO item (name) VALUES ('r') RETURNING id, name")
        seen += [cursor.rowcount, cursor.fetchall(), cursor.rowcount, connection.in_transaction]
        return seen


def parameters(connect: Connect) -> Any:
    """Parameters by place, by number and by name, from dicts that make what is missing."""

    class Making(dict[str, int]):
        def __missing__(self, key: str) -> int:
            return len(key)

    with closing(connect()) as connection:

        def ask(*args: Any) -> Any:
            return connection.execute(*args).fetchall()

        return [
            ask("SELECT ?, ?", (1, "b")),
            ask("SELECT ?2, ?1", [1, 2]),
            ask("SELECT :a, @b, $c, ':d', :a", {"a": 1, "b": b"2", "c": None, "unused": object()}),
            ask("SELECT :abc", Making()),
            ask("SELECT /* :not */ 1 -- ?\n"),
            error_of(lambda: ask("SELECT :a", {})),
            error_of(lambda: ask("SELECT ?", (1, 2))),
            error_of(lambda: ask("SELECT ?", (object(),))),
            error_of(lambda: ask("SELECT ?", (2**70,))),
            error_of(lambda: ask("SELECT ?", ("\ud800",))),
            error_of(lambda: ask("SELECT ?", 5)),
            error_of(lambda: connection.execute(5)),
            error_of(connection.execute),
            error_of(lambda: connection.executemany("SELECT 1", [()])),
        ]


def transactions(connect: Connect) -> Any:
    """What was committed, rolled back, or left by an exception, as each isolation level has it."""
    seen: list[Any] = []
    with closing(filled(connect)) as connection:

        def count() -> Any:
            return connection.execute("SELECT count(*) FROM item").fetchone()

        seen += [connection.isolation_level, connection.in_transaction]
        connection.execute("INSERT INTO item (name) VALUES ('x')")
        seen += [connection.in_transaction, count(), connection.rollback(), connection.in_transaction, count()]
        with connection:
            connection.execute("INSERT INTO item (name) VALUES ('y')")
        seen += [connection.in_transaction, count()]
        try:
            with connection:
                connection.execute("INSERT INTO item (name) VALUES ('z')")
                connection.execute("INSERT INTO item (name) VALUES ('y')")
        except sqlite3.IntegrityError as error:
            seen += [error.args, error.sqlite_errorcode, error.sqlite_errorname]
        seen += [connection.in_transaction, count(), connection.commit()]
        connection.execute("INSERT INTO item (name) VALUES ('open')")
        connection.isolation_level = None
        seen += [connection.isolation_level, connection.in_transaction, count()]
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("SAVEPOINT one")
        connection.execute("DELETE FROM item")
        seen.append(count())
        connection.execute("ROLLBACK TO one")
        seen += [count(), connection.in_transaction]
        connection.execute("COMMIT")
        seen.append(error_of(lambda: setattr(connection, "isolation_level", "WRONG")))
        for number, level in enumerate(("IMMEDIATE", None, "", None)):  # outside any transaction
            connection.isolation_level = level
            connection.execute("INSERT INTO item (name) VALUES (?)", (f"level {number}",))
            seen += [connection.isolation_level, connection.in_transaction, connection.commit(), count()]
        return seen


def factories(connect: Connect) -> Any:
    """Rows and texts as the app's factories make them."""
    seen: list[Any] = []

    def as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
        return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}

    with closing(filled(connect)) as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT id, name AS 'the \"name\"', id FROM item ORDER BY id").fetchone()
        seen += [type(row), tuple(row), row.keys(), row["ID"], row['the "name"'], len(row), row[-1]]
        rows = connection.execute("SELECT id FROM item").fetchall()
        seen += [[tuple(one) for one in rows], hash(rows[0]) == hash(rows[0])]
        connection.row_factory = as_dict
        cursor = connection.cursor()
        seen += [cursor.execute("SELECT id, price FROM item ORDER BY id").fetchmany(2), cursor.row_factory is as_dict]
        seen += [list(cursor), connection.row_factory is as_dict]
        cursor.row_factory = None
        seen += [cursor.execute("SELECT 1, 2").fetchone(), connection.execute("SELECT 1 AS one").fetchone()]
        connection.row_factory = lambda _cursor, row: row[0]
        seen.append(connection.execute("SELECT name FROM item ORDER BY id").fetchall())
        connection.row_factory = None
        for factory in (bytes, bytearray, lambda raw: raw.decode("utf-8").upper(), lambda raw: [raw], str):
            connection.text_factory = factory
            seen += [
                connection.text_factory is factory,
                connection.execute("SELECT name, data, id FROM item WHERE id < 4").fetchall(),
            ]
        return seen


def undecodable(connect: Connect) -> Any:
    """A text that is no UTF-8 fails when its row is fetched, and not by another factory."""
    with closing(connect()) as connection:
        cursor = connection.cursor()
        sql = "SELECT 1 UNION ALL SELECT CAST(x'ff41' AS TEXT)"
        first = cursor.execute(sql).fetchone()
        failed = error_of(cursor.fetchone)
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        return [first, failed, cursor.execute(sql).fetchall()]


class Point:
    """A class of the app, with an adapter and a converter."""

    def __init__(self, x: int, y: int) -> None:
        self.at = (x, y)

    def __conform__(self, _protocol: object) -> str:
        return f"{self.at[0]};{self.at[1]}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and other.at == self.at

    def __hash__(self) -> int:
        return hash(self.at)


sqlite3.register_adapter(Decimal, str)
sqlite3.register_converter("decimal", lambda raw: Decimal(raw.decode()))
sqlite3.register_converter("point", lambda raw: Point(*map(int, raw.split(b";"))))
sqlite3.register_converter("truth", lambda raw: raw == b"1")
sqlite3.register_adapter(dt.date, dt.date.isoformat)
sqlite3.register_adapter(dt.datetime, lambda moment: moment.isoformat(" "))
sqlite3.register_converter("date", lambda raw: dt.date.fromisoformat(raw.decode()))
sqlite3.register_converter("timestamp", lambda raw: dt.datetime.fromisoformat(raw.decode()))


def converters(connect: Connect) -> Any:
    """Adapters and converters make their values, by declared types and by names of columns."""
    seen: list[Any] = []
    with closing(connect(detect_types=sqlite3.PARSE_DECLTYPES | sqlite3.PARSE_COLNAMES)) as connection:
        connection.execute("DROP TABLE IF EXISTS c")
        connection.execute("CREATE TABLE c (d DATE, t TIMESTAMP, p point, b truth, m decimal, n INTEGER)")
        row = (
            dt.date(2026, 2, 28),
            dt.datetime(2026, 2, 28, 1, 2, 3),  # noqa: DTZ001 - as the module's own adapter has it
            Point(4, -3),
            True,
            Decimal("1.10"),
            1,
        )
        connection.execute("INSERT INTO c VALUES (?, ?, ?, ?, ?, ?)", row)
        connection.execute("INSERT INTO c VALUES (NULL, NULL, NULL, :b, NULL, 0)", {"b": False})
        found = connection.execute("SELECT * FROM c").fetchall()
        seen += [found, [[type(value) for value in one] for one in found]]
        cursor = connection.execute("SELECT m AS 'm [decimal]', '7;8' AS \"p [point]\", n FROM c")
        seen += [cursor.description, list(cursor), cursor.fetchone()]
        seen.append(connection.execute("SELECT d FROM c WHERE d = ?", (dt.date(2026, 2, 28),)).fetchone())
        seen.append(connection.execute("SELECT count(*) FROM c WHERE p = :p", {"p": Point(4, -3)}).fetchone())
        return seen


def errors(connect: Connect) -> Any:
    """Errors have their class, arguments and codes; those of a wrong use too."""
    connection = filled(connect)
    cursor = connection.cursor()
    other = connection.cursor()
    other.close()
    seen = [
        error_of(lambda: connection.execute("SELECT * FROM nowhere")),
        error_of(lambda: connection.execute("SELEC 1")),
        error_of(lambda: connection.execute("INSERT INTO item (name) VALUES ('tea')")),
        error_of(lambda: connection.execute("SELECT 1; SELECT 2")),
        error_of(lambda: cursor.executescript("SELECT 1; nonsense")),
        error_of(other.fetchone),
        error_of(lambda: other.execute("SELECT 1")),
        error_of(lambda: connection.cursor(factory=int))[0],
        connection.in_transaction,
        connection.rollback(),
    ]
    connection.close()
    seen += [
        error_of(lambda: connection.execute("SELECT 1")),
        error_of(connection.commit),
        error_of(lambda: connection.in_transaction),
    ]
    seen += [
        error_of(connection.cursor),
        error_of(cursor.fetchall),
        error_of(lambda: connection.total_changes),
        connection.close(),
    ]
    return seen


def scripts(connect: Connect) -> Any:
    """A script runs, and its cursor has no rows; a dump is the database as a script."""
    with closing(filled(connect)) as connection:
        connection.execute("INSERT INTO item (name) VALUES ('before')")
        cursor = connection.executescript("BEGIN; CREATE TABLE IF NOT EXISTS s (a); INSERT INTO s VALUES (1); COMMIT;")
        seen = [cursor.fetchall(), cursor.description, cursor.rowcount, connection.in_transaction]
        seen.append(connection.execute("SELECT count(*) FROM s").fetchone()[0] > 0)
        connection.executescript("DROP TABLE s; DELETE FROM item WHERE id = 4")
        return [*seen, list(connection.iterdump())]


def functions(connect: Connect) -> Any:
    """Functions, aggregates, windows and collations of the app."""

    class Sum:
        def __init__(self) -> None:
            self.total = 0

        def step(self, value: int) -> None:
            self.total += value

        def inverse(self, value: int) -> None:
            self.total -= value

        def value(self) -> int:
            return self.total

        finalize = value

    with closing(filled(connect)) as connection:
        connection.create_function("twice", 1, lambda value: value * 2, deterministic=True)
        connection.create_aggregate("total_of", 1, Sum)
        connection.create_window_function("running", 1, Sum)
        connection.create_collation("backwards", lambda one, other: (one < other) - (one > other))
        connection.create_function("fails", 0, lambda: 1 // 0)
        return [
            connection.execute("SELECT twice(id), twice(name) FROM item WHERE id < 3 ORDER BY id").fetchall(),
            connection.execute("SELECT total_of(id) FROM item").fetchone(),
            connection.execute("SELECT running(id) OVER (ORDER BY id ROWS 1 PRECEDING) FROM item").fetchall(),
            connection.execute("SELECT name FROM item ORDER BY name COLLATE backwards").fetchall(),
            error_of(lambda: connection.execute("SELECT fails()").fetchone()),
            error_of(lambda: connection.create_function("f", "x", print)),
        ]


def callbacks(connect: Connect) -> Any:
    """Traces tell the app's callback; an authorizer forbids; a progress handler interrupts."""
    traced: list[str] = []
    seen: list[Any] = []
    with closing(filled(connect)) as connection:
        connection.set_trace_callback(traced.append)
        connection.execute("SELECT ?", (5,)).fetchall()
        connection.execute("INSERT INTO item (name) VALUES (?)", ("traced",))
        connection.commit()
        connection.set_trace_callback(None)
        connection.execute("SELECT 'silent'").fetchall()
        connection.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_READ else sqlite3.SQLITE_OK
        )
        seen.append(error_of(lambda: connection.execute("SELECT name FROM item")))
        connection.set_authorizer(None)
        connection.set_progress_handler(lambda: 1, 1)
        seen.append(error_of(lambda: connection.execute("SELECT count(*) FROM item a, item b, item c").fetchall()))
        connection.set_progress_handler(None, 1)
        connection.interrupt()
        limit = connection.getlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH)
        seen += [
            connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 50) == limit,
            connection.getlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH),
        ]
        seen.append(error_of(lambda: connection.execute("SELECT " + "1 + " * 50 + "1")))
        return [*seen, traced]


def blobs(connect: Connect) -> Any:
    """A blob is read, written and sought in place."""
    seen: list[Any] = []
    with closing(filled(connect)) as connection:
        connection.execute("UPDATE item SET data = zeroblob(10) WHERE id = 1")
        connection.commit()
        with connection.blobopen("item", "data", 1) as blob:
            seen += [isinstance(blob, sqlite3.Blob), len(blob), blob.tell()]
            blob.write(b"hello")
            blob[9] = 255
            blob[5:7] = b"ab"
            seen += [blob.tell(), blob.read(), blob.seek(2), blob.read(3), blob.tell(), blob[0], blob[-1], blob[0:8:2]]
            seen += [
                error_of(lambda: blob.write(b"too long for it")),
                error_of(lambda: blob[10]),
                error_of(lambda: blob.seek(99)),
            ]
            blob.seek(-2, 2)
            seen.append(blob.read(100))
        seen.append(error_of(blob.read))
        connection.commit()
        with connection.blobopen("item", "data", 1, readonly=True, name="main") as blob:
            seen += [blob.read(), error_of(lambda: blob.write(b"x"))]
        seen.append(error_of(lambda: connection.blobopen("item", "data", 77)))
        seen.append(connection.execute("SELECT data FROM item WHERE id = 1").fetchone())
        return seen


def copies(connect: Connect) -> Any:
    """A backup goes page by page; what is serialized is the database."""
    progress: list[tuple[int, ...]] = []
    in_memory: Any = sqlite3.connect(":memory:")
    with closing(filled(connect)) as connection, closing(in_memory) as copy:
        connection.backup(copy, pages=5, progress=lambda *left: progress.append(left))
        seen: list[Any] = [progress, copy.execute("SELECT id, name FROM item").fetchall()]
        if hasattr(copy, "serialize"):
            image = copy.serialize()
            seen += [type(image), len(image), image[:16]]
            with closing(sqlite3.connect(":memory:")) as again:
                again.deserialize(image)
                seen.append(again.execute("SELECT count(*) FROM item").fetchone())
        seen.append(error_of(lambda: connection.backup(5)))
        return seen


def memory(_connect: Connect) -> Any:
    """A database in memory, also one that two connections share."""
    seen: list[Any] = []
    uri = "file:shared_by_test?mode=memory&cache=shared"
    with closing(sqlite3.connect(":memory:")) as alone, closing(sqlite3.connect(uri, uri=True)) as one:
        alone.execute("CREATE TABLE t (a)")
        alone.execute("INSERT INTO t VALUES (1)")
        one.execute("CREATE TABLE t (a)")
        one.execute("INSERT INTO t VALUES (2)")
        one.commit()
        with closing(sqlite3.connect(uri, uri=True)) as other:
            seen += [alone.execute("SELECT a FROM t").fetchall(), other.execute("SELECT a FROM t").fetchall()]
    return seen


class OwnCursor(sqlite3.Cursor):
    """A cursor of the app's."""

    def execute(self, sql: str, parameters: Any = ()) -> OwnCursor:
        """Say who asks."""
        super().execute(sql + " -- by OwnCursor", parameters)
        return self


class OwnConnection(sqlite3.Connection):
    """A connection of the app's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.opened_as = args[0]
        self.execute("PRAGMA foreign_keys = ON")

    def cursor(self, factory: Any = OwnCursor) -> Any:
        """Give a cursor of the app's."""
        return super().cursor(factory)


def subclasses(connect: Connect) -> Any:
    """Classes of the app stay what they are."""
    with closing(connect(factory=OwnConnection)) as connection, closing(connect()) as plain:
        cursor = connection.cursor()
        direct = sqlite3.Cursor(plain)
        own = plain.cursor(OwnCursor)
        return [
            isinstance(connection, OwnConnection), isinstance(plain, sqlite3.Connection), type(connection).__name__,
            isinstance(cursor, OwnCursor), isinstance(cursor, sqlite3.Cursor), isinstance(own, OwnCursor),
            cursor.execute("SELECT 1").fetchall(), direct.execute("SELECT 2").fetchall(),
            list(direct.execute("SELECT 3")),
            own.execute("SELECT 4").fetchall(), connection.execute("PRAGMA foreign_keys").fetchall(),
            type(plain).__name__, type(plain).__module__, issubclass(OwnConnection, sqlite3.Connection),
        ]  # fmt: skip


def threads(connect: Connect) -> Any:
    """A connection that is bound to its thread says so in another one; one that is not works there."""
    seen: list[Any] = []
    with closing(filled(connect)) as bound, closing(connect(check_same_thread=False)) as free:

        def work() -> None:
            failed = error_of(lambda: bound.execute("SELECT 1"))
            seen.append((failed[0], failed[1][0].partition(" The")[0]) if isinstance(failed, tuple) else failed)
            seen.append(free.execute("SELECT name FROM item WHERE id = 1").fetchone())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    return seen


def lazily(connect: Connect) -> Any:
    """A generator of rows runs as far as the app reads it."""

    def numbers(connection: Any) -> Iterator[int]:
        recursive = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1000000) SELECT x FROM n"
        for (number,) in connection.execute(recursive):
            yield number

    with closing(connect()) as connection:
        endless = numbers(connection)
        return [next(endless) for _ in range(5)]


def autocommit(connect: Connect) -> Any:
    """The transactions of PEP 249, which Python has from 3.12 on."""
    if not hasattr(sqlite3, "LEGACY_TRANSACTION_CONTROL"):
        return None
    seen: list[Any] = []
    with closing(connect(autocommit=False)) as connection:
        seen += [connection.autocommit, connection.in_transaction]
        connection.execute("DROP TABLE IF EXISTS a")
        connection.execute("CREATE TABLE a (v)")
        seen += [connection.commit(), connection.in_transaction]
        connection.execute("INSERT INTO a VALUES (1)")
        seen += [connection.rollback(), connection.execute("SELECT count(*) FROM a").fetchone()]
        connection.autocommit = True
        seen += [connection.autocommit, connection.in_transaction, connection.commit()]
        with connection:
            connection.execute("INSERT INTO a VALUES (2)")
        connection.autocommit = False
        seen += [connection.in_transaction, connection.execute("SELECT v FROM a").fetchall()]
        connection.autocommit = -1  # sqlite3.LEGACY_TRANSACTION_CONTROL
        seen += [connection.autocommit, connection.getconfig(1002)]
        return seen


SCENARIOS: dict[str, Callable[[Connect], Any]] = {
    scenario.__name__: scenario
    for scenario in (
        types_of_values, fetching, counts, parameters, transactions, factories, undecodable, converters, errors,
        scripts, functions, callbacks, blobs, copies, memory, subclasses, threads, lazily, autocommit,
    )
}  # fmt: skip
