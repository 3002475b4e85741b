"""What stands on sqlite3 needs no code of ours: an object mapper, aiosqlite, SQLAlchemy above that."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiosqlite
import peewee
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.support.same import identical
from timetracer_otel import testing


def by_peewee(database: str) -> Any:
    """Models with defaults that are drawn, a transaction that fails, a savepoint, many rows."""
    db = peewee.SqliteDatabase(database)

    class Note(peewee.Model):
        text = peewee.CharField(unique=True)
        code = peewee.UUIDField(default=uuid.uuid4)
        at = peewee.DateTimeField(default=dt.datetime.now)

        class Meta:
            database = db

    seen: list[Any] = []
    with db.connection_context():
        db.create_tables([Note])
        Note.create(text="one")
        try:
            with db.atomic():
                Note.create(text="one")
        except peewee.IntegrityError as error:
            seen.append(str(error))
        with db.atomic():
            Note.create(text="two")
            with db.savepoint() as savepoint:
                Note.create(text="three")
                savepoint.rollback()
        Note.insert_many([{"text": f"more {number}"} for number in range(50)]).execute()
        seen += [(note.text, note.code, note.at) for note in Note.select().order_by(Note.text)]
    return seen


def by_aiosqlite(database: str) -> Any:
    """Rows, cursors, a rollback, an error."""

    async def main() -> list[Any]:
        async with aiosqlite.connect(database) as db:
            await db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT, size REAL)")
            await db.executemany("INSERT INTO note (text, size) VALUES (?, ?)", [(f"n{n}", n / 3) for n in range(9)])
            await db.commit()
            async with db.execute("SELECT * FROM note WHERE id > ?", (3,)) as cursor:
                seen: list[Any] = [row async for row in cursor]
            seen.append(await db.execute_insert("INSERT INTO note (text) VALUES ('last')"))
            seen += [db.total_changes, db.in_transaction]
            await db.rollback()
            with pytest.raises(aiosqlite.OperationalError) as caught:
                await db.execute("SELECT nothing")
            return [*seen, str(caught.value), list(await db.execute_fetchall("SELECT count(*) FROM note"))]

    return asyncio.run(main())


class Base(DeclarativeBase):
    """Of the tables."""


def _code() -> uuid.UUID:
    """Draw where the patched function is: this module's classes are older than any recording."""
    return uuid.uuid4()


class Visit(Base):
    """A row with a code that is drawn."""

    __tablename__ = "visit"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[uuid.UUID] = mapped_column(default=_code)
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


def by_sqlalchemy(database: str) -> Any:
    """Sessions of asyncio, a nested transaction, several at once."""

    async def main() -> list[Any]:
        engine = create_async_engine(f"sqlite+aiosqlite:///{database}")
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        made = async_sessionmaker(engine, expire_on_commit=False)
        async with made() as session:
            session.add_all([Visit() for _ in range(10)])
            await session.commit()
        async with made() as session:
            async with session.begin_nested() as nested:
                session.add(Visit())
                await session.flush()
                await nested.rollback()
            found = (await session.scalars(select(Visit).order_by(Visit.id))).all()
            seen: list[Any] = [(visit.id, visit.code, visit.at) for visit in found]

        async def one(number: int) -> Any:
            async with made() as session:
                visit = await session.get(Visit, number)
                return None if visit is None else visit.code

        seen += await asyncio.gather(*map(one, range(1, 5)))
        await engine.dispose()
        return seen

    return asyncio.run(main())


@pytest.mark.parametrize("program", [by_peewee, by_aiosqlite, by_sqlalchemy])
def test_it_replays(program: Callable[[str], Any], tmp_path: Path) -> None:
    """With the file gone, to the values and types that it gave."""
    with testing.record(tmp_path / "cassettes"):
        recorded = program(str(tmp_path / "app.db"))
    with testing.replay(tmp_path / "cassettes") as replay:
        replayed = program(str(tmp_path / "nowhere" / "app.db"))
    outcome = replay.outcome()
    assert identical(replayed, recorded), f"{replayed}\nand not\n{recorded}"
    assert (outcome.misses, outcome.unused) == ([], [])
