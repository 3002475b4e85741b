"""What a recording of sqlite3 leaves alone, adopts and lets through."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from tests.pymongo.harness import spans_of
from timetracer_otel import plugins, testing
from timetracer_otel.errors import ReplayMiss


def names(folder: Path) -> list[str]:
    """The names of the recorded calls, in order of start."""
    calls = [span for span in spans_of(folder) if any(one["key"] == "timetracer.plugin" for one in span["attributes"])]
    return [span["name"] for span in sorted(calls, key=lambda span: int(span["startTimeUnixNano"]))]


def test_the_instrumentors_span_is_the_calls(tmp_path: Path) -> None:
    """A statement that the standard instrumentor sees is one span, that of the instrumentor, with the rows on it."""
    instrumentor = SQLite3Instrumentor()
    with testing.record(tmp_path):
        instrumentor.instrument()
        try:
            with closing(sqlite3.connect(":memory:")) as connection:
                cursor = connection.cursor()
                cursor.execute("SELECT 1")
                assert cursor.fetchall() == [(1,)]
                assert connection.execute("SELECT 2").fetchall() == [(2,)]
        finally:
            instrumentor.uninstrument()
    assert names(tmp_path) == ["SELECT", "SELECT"]
    spans = [span for span in spans_of(tmp_path) if span["kind"] == 3]
    assert len(spans) == 2
    with testing.replay(tmp_path) as replay, closing(sqlite3.connect(":memory:")) as connection:
        assert connection.execute("SELECT 2").fetchall() == [(2,)]
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    assert replay.outcome().misses == []


def test_the_instrumentors_connections_can_be_given_to_the_module(tmp_path: Path) -> None:
    """Its proxies stand for connections where the module's own types of C take one: in backups and cursors."""
    instrumentor = SQLite3Instrumentor()
    with testing.record(tmp_path):
        instrumentor.instrument()
        try:
            with closing(sqlite3.connect(":memory:")) as source, closing(sqlite3.connect(":memory:")) as target:
                source.execute("CREATE TABLE t (a)")
                source.backup(target)
                source.backup(target=target)
                assert sqlite3.Cursor(target).execute("SELECT count(*) FROM t").fetchone() == (0,)
        finally:
            instrumentor.uninstrument()


def test_our_spans_have_the_names_of_the_conventions(tmp_path: Path) -> None:
    """Without the instrumentor a call is a CLIENT span with system, statement, operation, table and database."""
    with testing.record(tmp_path), closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.commit()
    assert names(tmp_path) == ["CREATE t", "INSERT t", "COMMIT"]
    (insert,) = (span for span in spans_of(tmp_path) if span["name"] == "INSERT t")
    found = {one["key"]: one["value"].get("stringValue") for one in insert["attributes"]}
    assert {name: found[name] for name in found if name.startswith("db.")} == {
        "db.system.name": "sqlite",
        "db.namespace": str(tmp_path / "a.db"),
        "db.query.text": "INSERT INTO t VALUES (1)",
        "db.operation.name": "INSERT",
        "db.collection.name": "t",
    }


def test_nobodys_business(tmp_path: Path) -> None:
    """What is suppressed, switched off or of a tool is not recorded; a tool's stays live in a replay."""
    tool = ModuleType("coverage.sqldata")
    exec("import sqlite3\ndef opened(path): return sqlite3.connect(path)", vars(tool))  # noqa: S102 - a module of that name
    kept = tmp_path / "tool.db"
    with testing.record(tmp_path / "c"):
        with suppress_instrumentation(), closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("SELECT 'suppressed'").fetchall()
        with closing(tool.opened(kept)) as connection:
            connection.execute("CREATE TABLE lines (n)")
        plugins.disable_sqlite3()
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("SELECT 'off'").fetchall()
        plugins.enable_sqlite3()
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("SELECT 'on'").fetchall()
    assert names(tmp_path / "c") == ["SELECT"]
    with testing.replay(tmp_path / "c"), closing(tool.opened(kept)) as connection:
        assert connection.execute("SELECT count(*) FROM lines").fetchall() == [(0,)]


def test_rows_are_fetched_when_the_app_fetches(tmp_path: Path) -> None:
    """Nothing is read ahead: rows that nobody wanted are in no cassette, and a replay gives none beyond."""
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    with testing.record(tmp_path), closing(sqlite3.connect(":memory:")) as connection:
        cursor = connection.execute(numbers)
        assert [next(cursor)[0] for _ in range(3)] == [1, 2, 3]
    with testing.replay(tmp_path), closing(sqlite3.connect(":memory:")) as connection:
        cursor = connection.execute(numbers)
        assert cursor.fetchmany(3) == [(1,), (2,), (3,)]
        with pytest.raises(ReplayMiss, match="fetches more rows than the 3"):
            cursor.fetchone()


def test_a_miss_shows_the_closest_call(tmp_path: Path) -> None:
    """Another parameter, another statement, a wrong password: none is answered by what was recorded."""
    ask = "SELECT id FROM users WHERE name = ? AND password = ?"
    with testing.record(tmp_path / "c"), closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, password TEXT)")
        connection.execute("INSERT INTO users (name, password) VALUES ('ann', 'right')")
        assert connection.execute(ask, ("ann", "right")).fetchall() == [(1,)]
    with testing.replay(tmp_path / "c"), closing(sqlite3.connect(":memory:")) as connection:
        with pytest.raises(ReplayMiss, match=r"differs in parameters\[0\]: 'ann' recorded, 'bob' asked"):
            connection.execute(ask, ("bob", "right"))
        with pytest.raises(ReplayMiss, match=r"differs in parameters\[1\]"):
            connection.execute(ask, ("ann", "wrong"))
        with pytest.raises(ReplayMiss, match="differs in sql"):
            connection.execute("SELECT name FROM users")
        assert connection.execute(ask, ("ann", "right")).fetchall() == [(1,)]


def test_an_empty_database_answers_nobody(tmp_path: Path) -> None:
    """In a replay not even a cursor of the module's own class gets an answer from the connection in memory."""
    own: Any = sqlite3.Cursor
    with testing.record(tmp_path), closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("SELECT 1").fetchall()
    with (
        testing.replay(tmp_path),
        closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(sqlite3.DatabaseError, match="not authorized"),
    ):
        own(connection).execute("SELECT 1")


def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    """Its error comes back, also where the path could be opened now; the databases opened before are not it."""

    def opened(path: Path) -> Any:
        sqlite3.connect(tmp_path / "other.db").close()
        with pytest.raises(sqlite3.OperationalError) as caught:
            sqlite3.connect(path)
        return caught.value.args, caught.value.sqlite_errorname

    with testing.record(tmp_path / "c"):
        recorded = opened(tmp_path / "no" / "folder.db")
    with testing.replay(tmp_path / "c"):
        assert opened(tmp_path / "folder.db") == recorded
        sqlite3.connect(tmp_path / "no" / "folder.db").close()
    assert not (tmp_path / "folder.db").exists()


def test_names_that_were_imported_before(tmp_path: Path) -> None:
    """``from sqlite3 import connect`` before the recording is recorded too, and the very same object afterwards."""
    early = ModuleType("early")
    exec("from sqlite3 import connect, Connection", vars(early))  # noqa: S102 - a module that imports them
    connect, kind = early.connect, early.Connection
    old: Any = sqlite3.connect(":memory:")
    sys.modules["early"] = early
    try:
        with testing.record(tmp_path), closing(early.connect(":memory:")) as connection:
            connection.execute("SELECT 1").fetchall()
            assert isinstance(connection, kind)
            assert isinstance(connection, early.Connection)
            assert isinstance(old, sqlite3.Connection)
    finally:
        del sys.modules["early"]
        old.close()
    assert names(tmp_path) == ["SELECT"]
    assert (early.connect, early.Connection) == (connect, kind)


def test_a_connection_outlives_its_mode(tmp_path: Path) -> None:
    """One of a recording works on afterwards and is refused in a replay; one of a replay ends with it."""
    with testing.record(tmp_path):
        recorded = sqlite3.connect(":memory:")
        recorded.execute("SELECT 1").fetchall()
    assert recorded.execute("SELECT 5").fetchall() == [(5,)]
    with testing.replay(tmp_path):
        with pytest.raises(sqlite3.OperationalError, match="opened before the replay"):
            recorded.execute("SELECT 1")
        replayed = sqlite3.connect(":memory:")
        assert replayed.execute("SELECT 1").fetchall() == [(1,)]
    with pytest.raises(sqlite3.OperationalError, match="replay that is over"):
        replayed.execute("SELECT 1")
    recorded.close()
    replayed.close()


def test_threads_and_tasks_get_their_own(tmp_path: Path) -> None:
    """Statements that threads and tasks ask at once are answered each with its own rows."""

    def ask(number: int) -> int:
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
            return int(connection.execute("SELECT ? * 10", (number,)).fetchone()[0])

    async def tasks() -> list[int]:
        return await asyncio.gather(*(asyncio.to_thread(ask, number) for number in range(8)))

    def everything() -> Any:
        found: dict[int, int] = {}
        threads = [threading.Thread(target=lambda n=n: found.update({n: ask(n)})) for n in range(20, 28)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(found.items()), asyncio.run(tasks())

    with testing.record(tmp_path / "c"):
        recorded = everything()
    (tmp_path / "a.db").unlink()
    with testing.replay(tmp_path / "c") as replay:
        assert everything() == recorded
    assert (replay.outcome().misses, replay.outcome().unused) == ([], [])
    assert not (tmp_path / "a.db").exists()


class Base(DeclarativeBase):
    """Of the mapped classes."""


class Author(Base):
    """Who writes books."""

    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list[Book]] = relationship(back_populates="author")


class Book(Base):
    """What authors write."""

    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


def library(url: str) -> Any:
    """Use objects, Core and the pool of SQLAlchemy."""
    engine = create_engine(url)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Author(name=name, books=[Book(title=f"{name} {n}") for n in range(3)]) for name in "abc"])
        session.commit()
        found = [
            (author.id, author.name, [(book.id, book.title) for book in author.books])
            for author in session.scalars(select(Author).order_by(Author.name.desc()))
        ]
        with session.begin_nested() as nested:
            session.add(Author(name="lost"))
            session.flush()
            nested.rollback()
        names = session.scalars(select(Author.name)).all()
    with engine.connect() as connection:
        raw = connection.exec_driver_sql("SELECT count(*), max(title) FROM book").one()
    engine.dispose()
    return found, names, tuple(raw)


def test_sqlalchemy(tmp_path: Path) -> None:
    """SQLAlchemy, which is named nowhere, gets the same rows and ids with its file gone."""
    with testing.record(tmp_path / "c"):
        recorded = library(f"sqlite:///{tmp_path / 'a.db'}")
    (tmp_path / "a.db").unlink()
    with testing.replay(tmp_path / "c") as replay:
        assert library(f"sqlite:///{tmp_path / 'other.db'}") == recorded
    assert (replay.outcome().misses, replay.outcome().unused) == ([], [])
    assert not list(tmp_path.glob("*.db"))


def test_the_last_row_is_known_as_such(tmp_path: Path) -> None:
    """An app that fetched all the rows there were may ask for more in a replay: there are none."""
    ask = "SELECT 1 UNION ALL SELECT 2"
    with testing.record(tmp_path), closing(sqlite3.connect(":memory:")) as connection:
        cursor = connection.execute(ask)
        assert [cursor.fetchone(), cursor.fetchone()] == [(1,), (2,)]
    with testing.replay(tmp_path), closing(sqlite3.connect(":memory:")) as connection:
        assert connection.execute(ask).fetchall() == [(1,), (2,)]


def test_settings_of_a_connection_are_lent(tmp_path: Path) -> None:
    """What sets a connection up concerns no data: no write keeps it from being answered once more."""
    with testing.record(tmp_path), closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("CREATE TABLE t (a)")
    with testing.replay(tmp_path), closing(sqlite3.connect(":memory:")) as connection:
        for _ in range(2):
            assert connection.execute("PRAGMA foreign_keys = ON").fetchall() == []
