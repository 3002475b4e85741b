"""What programs do with a connection at its edges: wrong calls, functions that fail, empty and subclassed values."""

from __future__ import annotations

import _sqlite3
import enum
import sqlite3
from collections import UserDict
from contextlib import closing
from functools import partial
from typing import Any

from tests.sqlite3.scenarios import Connect, error_of, filled

__all__ = ["EDGES"]


def sizes(connect: Connect) -> Any:
    """Any number of rows is asked for: none and less than none give all of them, an index counts as its number."""

    class Two:
        def __index__(self) -> int:
            return 2

    seen: list[Any] = []
    ids = "SELECT id FROM item ORDER BY id"
    with closing(filled(connect)) as connection:
        for size in (0, -1, True, Two(), 2, 10):
            cursor = connection.execute(ids)
            seen += [cursor.fetchmany(size), cursor.fetchall(), cursor.rowcount]
        for size in (0, -3):
            cursor = connection.execute(ids)
            cursor.arraysize = size
            seen += [cursor.fetchmany(), cursor.fetchall()]
        cursor = connection.execute(ids)
        seen += [error_of(partial(cursor.fetchmany, *wrong)) for wrong in (("2",), (2**40,), (1, 2), (2.0,))]
        seen.append(error_of(partial(cursor.fetchmany, sizes=2)))
        return [*seen, cursor.fetchall()]


def wrong_calls(connect: Connect) -> Any:
    """A call that the module does not have fails as the module says, whichever object it is made on."""
    with closing(filled(connect)) as connection:
        cursor = connection.cursor()
        insert = "INSERT INTO item (name) VALUES (?)"
        seen = [
            error_of(lambda: connection.execute(sql="SELECT 1")),
            error_of(lambda: connection.execute("SELECT 1", parameters=())),
            error_of(lambda: cursor.execute("SELECT 1", (), 3)),
            error_of(lambda: connection.executemany(insert)),
            error_of(lambda: cursor.executemany(insert, 5)),
            error_of(lambda: cursor.executemany(insert, [5])),
            error_of(lambda: connection.executescript(b"SELECT 1")),
            error_of(lambda: cursor.executescript("SELECT 1\0")),
            error_of(connection.set_trace_callback),
            error_of(lambda: connection.set_authorizer(callback=print)),
            error_of(lambda: connection.set_progress_handler(print)),
            error_of(lambda: connection.backup(5)),
            error_of(lambda: connection.cursor(lambda _connection: None)),
            cursor.execute("").fetchall(),
            cursor.execute("-- nothing").description,
        ]
    names: tuple[Any, ...] = (5, "\0", "file:/no/such/folder/a.db?mode=ro")
    return [*seen, *(error_of(partial(sqlite3.connect, name, uri=True)) for name in names)]


class Level(enum.IntEnum):
    """Numbers of the app."""

    HIGH = 3


class Kind(enum.StrEnum):
    """Texts of the app."""

    TEA = "tea"


class Lying(str):
    """A text that gives another one for itself."""

    __slots__ = ()

    def __str__(self) -> str:
        return "SELECT 'lied'"


def odd_parameters(connect: Connect) -> Any:
    """Subclasses of the types, sequences and mappings of the app are bound as what they hold; so are statements."""

    class Pair:
        def __len__(self) -> int:
            return 2

        def __getitem__(self, number: int) -> Any:
            return (1, "two")[number]

    with closing(connect()) as connection:

        def ask(*args: Any) -> Any:
            return connection.execute(*args).fetchall()

        return [
            ask("SELECT ?, ?", (Level.HIGH, Kind.TEA)),
            ask("SELECT ?", (Lying("x"),)),
            ask(Lying("SELECT 1")),
            ask("SELECT ?, ?", Pair()),
            ask("SELECT ?", range(1)),
            ask("SELECT ?, ?", b"ab"),
            error_of(lambda: ask("SELECT :a", UserDict(a=1))),
            error_of(lambda: ask("SELECT ?", (memoryview(b"abcd")[::2],))),
            error_of(lambda: ask("SELECT ?", {1})),
            error_of(lambda: ask("SELECT ?", None)),
        ]


def adapters_of_the_app(connect: Connect) -> Any:
    """An adapter is asked once for a value, also where it fails, or changes the list that the value is in."""
    asked: list[str] = []
    changing: list[Any] = []

    class Failing:
        def __conform__(self, _protocol: object) -> str:
            asked.append("failing")
            raise LookupError("no", 3)

    class Emptying:
        def __conform__(self, _protocol: object) -> str:
            changing.clear()
            return "emptied"

    with closing(connect()) as connection:
        ask = partial(connection.execute, "SELECT ?, ?")
        seen = [error_of(partial(ask, given)) for given in ((1, Failing()), [Failing(), 1], {"a": 1, "b": Failing()})]
        changing += [Emptying(), 0]
        return [*seen, error_of(partial(ask, changing)), asked, changing]


def asked_while_copying(_connect: Connect) -> Any:
    """A backup's progress may ask the connection that is copied, and is told of each step after that too."""
    progress: list[tuple[int, ...]] = []
    with closing(sqlite3.connect(":memory:")) as source, closing(sqlite3.connect(":memory:")) as copy:
        source.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1)")

        def stepped(*left: int) -> None:
            progress.append(left)
            if len(progress) == 1:
                source.execute("INSERT INTO t VALUES (2)")
                source.commit()

        source.backup(copy, pages=1, progress=stepped)
        return progress, copy.execute("SELECT a FROM t").fetchall()


sqlite3.register_converter("divisor", lambda raw: 1 // int(raw))


def failing_functions(connect: Connect) -> Any:
    """Where a function of the app fails on a row, each fetch says so, and what follows comes as it did."""

    def fail(*_args: object) -> Any:
        raise ValueError("no", 3)

    seen: list[Any] = []
    with closing(connect(detect_types=sqlite3.PARSE_COLNAMES)) as connection:
        sql = "SELECT 5 AS 'x [divisor]' UNION ALL SELECT 0 UNION ALL SELECT 1"
        cursor = connection.execute(sql)
        seen += [cursor.fetchone(), *(error_of(cursor.fetchone) for _ in range(3)), error_of(cursor.fetchall)]
        seen.append(error_of(lambda: connection.execute(sql).fetchall()))
        for name in ("row_factory", "text_factory"):
            before = getattr(connection, name)
            setattr(connection, name, fail)
            cursor = connection.execute("SELECT 5, 'a' UNION ALL SELECT 6, 'b'")
            seen += [*(error_of(cursor.fetchone) for _ in range(3)), error_of(cursor.fetchall)]
            setattr(connection, name, before)
        connection.set_trace_callback(fail)
        seen.append(connection.execute("SELECT 1").fetchall())
        connection.set_authorizer(fail)
        seen.append(error_of(lambda: connection.execute("SELECT 2")))
        return seen


def heard(connect: Connect) -> Any:
    """Authorizers and progress handlers hear what they heard."""
    asked: list[Any] = []
    steps: list[int] = []
    with closing(filled(connect)) as connection:

        def authorize(*about: Any) -> int:
            asked.append(about)
            return sqlite3.SQLITE_IGNORE if about[2] == "price" else sqlite3.SQLITE_OK

        connection.set_authorizer(authorize)
        rows = connection.execute("SELECT id, price FROM item ORDER BY id").fetchall()
        connection.set_authorizer(None)
        connection.set_progress_handler(lambda: steps.append(1), 100)
        connection.execute("SELECT count(*) FROM item a, item b, item c").fetchall()
        connection.set_progress_handler(None, 0)
        connection.execute("SELECT count(*) FROM item a, item b, item c").fetchall()
        return [rows, asked, len(steps) > 0, len(steps)]


def nothing(connect: Connect) -> Any:
    """What is empty comes back empty, and not as None."""
    with closing(filled(connect)) as connection:
        connection.execute("UPDATE item SET data = x'0102' WHERE id = 1")
        connection.commit()
        with connection.blobopen("item", "data", 1) as blob:
            seen = [blob.read(0), blob.read(), blob.read(), blob[1:1], error_of(lambda: iter(blob))[0]]
        return [*seen, connection.execute("SELECT '', x'', NULL").fetchall(), connection.executescript("").fetchall()]


def expired(connect: Connect) -> Any:
    """A blob whose row was changed fails, and stays where it is."""
    with closing(filled(connect)) as connection:
        connection.execute("UPDATE item SET data = zeroblob(9) WHERE id = 1")
        blob = connection.blobopen("item", "data", 1)
        connection.execute("UPDATE item SET data = x'00' WHERE id = 1")
        return [error_of(lambda: blob.read(1)), blob.tell(), error_of(lambda: blob.write(b"x")), blob.tell()]


def one_and_another(connect: Connect) -> Any:
    """Transactions of two connections: each sees its own, waits for the other's lock, and loses what it leaves open."""
    seen: list[Any] = []
    with closing(filled(connect, timeout=0.05)) as one, closing(connect(timeout=0.05)) as other:

        def counts() -> None:
            for connection in (one, other):
                row = connection.execute("SELECT count(*) FROM item").fetchone()
                seen.extend([row, connection.in_transaction, connection.total_changes])

        one.execute("INSERT INTO item (name) VALUES ('of one')")
        counts()
        seen.append(error_of(lambda: other.execute("INSERT INTO item (name) VALUES ('of the other')")))
        one.commit()
        other.execute("INSERT INTO item (name) VALUES ('of the other')")
        counts()
        other.rollback()
        counts()
        one.execute("DELETE FROM item")
    with closing(connect()) as connection:
        return [*seen, connection.execute("SELECT count(*) FROM item").fetchone()]


def constraints(connect: Connect) -> Any:
    """A commit that fails leaves its transaction open, or rolls it back at the end of a block."""
    with closing(connect()) as connection:
        connection.executescript(
            "PRAGMA foreign_keys = ON; DROP TABLE IF EXISTS b; DROP TABLE IF EXISTS a;"
            "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a REFERENCES a DEFERRABLE INITIALLY DEFERRED);"
        )

        def block() -> None:
            with connection:
                connection.execute("INSERT INTO b VALUES (9)")

        seen = [error_of(block), connection.in_transaction, connection.total_changes]
        connection.execute("INSERT INTO b VALUES (9)")
        return [*seen, error_of(connection.commit), connection.in_transaction, connection.rollback()]


def large(connect: Connect) -> Any:
    """20 MB of bytes, a long text, and many rows by a generator."""
    data = bytes(range(256)) * 80_000
    with closing(connect()) as connection:
        connection.execute("DROP TABLE IF EXISTS large")
        connection.execute("CREATE TABLE large (a)")
        connection.execute("INSERT INTO large VALUES (?)", (data,))
        connection.execute("INSERT INTO large VALUES (?)", ("ü" * 1_000_000,))
        (found,), (text,) = connection.execute("SELECT a FROM large").fetchall()
        connection.executemany("INSERT INTO large VALUES (?)", ((number,) for number in range(20_000)))
        return [found == data, len(text), sum(1 for _ in connection.execute("SELECT a FROM large"))]


def left_behind(connect: Connect) -> Any:
    """What is left of a call afterwards: the state of its transaction, and the last id when the next one fails."""
    with closing(connect()) as connection:
        connection.executescript("DROP TABLE IF EXISTS a; CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
        cursor, names = connection.cursor(), "SELECT name FROM a WHERE name = ?"
        cursor.execute("INSERT INTO a (name) VALUES ('one')")
        seen = [connection.in_transaction, cursor.lastrowid]
        for _ in range(2):  # the same question within the transaction and behind it
            cursor.execute(names, ["one"])
            seen += [cursor.fetchone(), connection.in_transaction, connection.total_changes]
            connection.commit()
        seen.append(error_of(partial(cursor.execute, "INSERT OR FAIL INTO a (name) VALUES ('one')")))
        return [*seen, cursor.lastrowid, cursor.rowcount, connection.in_transaction]


class _Older(_sqlite3.Cursor):
    """A class that was made before the program was recorded."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        sqlite3.Cursor.__init__(self, connection)


def wrong_factories(connect: Connect) -> Any:
    """Wrong classes of connections and cursors, and a level of isolation that there is not."""
    with closing(connect()) as connection:
        wrong = [None, 5, lambda: None, lambda _connection: None]
        seen = [error_of(partial(connection.cursor, factory)) for factory in wrong]
        seen.append(isinstance(connection.cursor(factory=_Older), sqlite3.Cursor))
        blob = None
        if hasattr(connection, "blobopen"):
            connection.executescript("DROP TABLE IF EXISTS a; CREATE TABLE a (b); INSERT INTO a VALUES (zeroblob(9))")
            blob = connection.blobopen("a", "b", 1)
            seen += [error_of(partial(blob.__delitem__, 0)), error_of(partial(blob.__delitem__, slice(2)))]
    return [*seen, error_of(partial(sqlite3.connect, ":memory:", isolation_level=5)), connect().close()]


EDGES = {
    scenario.__name__: scenario
    for scenario in (
        sizes, wrong_calls, odd_parameters, adapters_of_the_app, asked_while_copying, failing_functions, heard, nothing,
        expired, one_and_another, constraints, left_behind, wrong_factories, large,
    )
}  # fmt: skip
