"""What programs do with object mappers that stand on any driver: each is given a URL and returns all that it saw."""

from __future__ import annotations

import asyncio
import io
import tempfile
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import alembic.command
import sqlmodel
from alembic.config import Config
from pony import orm as pony
from tortoise import Tortoise, fields
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.exceptions import IntegrityError
from tortoise.functions import Count
from tortoise.models import Model
from tortoise.transactions import in_transaction

__all__ = ["by_alembic", "by_pony", "by_sqlmodel", "by_tortoise"]


class Guest(Model):
    """Somebody who stays."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=40, unique=True)
    rate = fields.DecimalField(max_digits=8, decimal_places=2, null=True)
    tags: Any = fields.JSONField(default=list)
    since = fields.DatetimeField(auto_now_add=True)
    nights: fields.ReverseRelation[Night]


class Night(Model):
    """When."""

    id = fields.IntField(primary_key=True)
    guest: fields.ForeignKeyRelation[Guest] = fields.ForeignKeyField("models.Guest", related_name="nights")
    number = fields.IntField()


def by_tortoise(url: str) -> Any:
    """Tortoise: schemas, relations, transactions, aggregates, an error, parallel tasks."""
    return asyncio.run(_tortoise(url))


async def _tortoise(url: str) -> Any:
    EXECUTOR_CACHE.clear()  # its statements, which are those of the database that was used first
    await Tortoise.init(db_url=url, modules={"models": [__name__]})
    try:
        connection = Tortoise.get_connection("default")
        for table in ("night", "guest"):
            await connection.execute_script(f"DROP TABLE IF EXISTS {table}")
        await Tortoise.generate_schemas()
        ann = await Guest.create(name="ann", rate=Decimal("12.50"), tags=["a", {"b": None}])
        await Night.bulk_create([Night(guest=ann, number=number) for number in range(30)])
        seen: list[Any] = [ann.id, ann.since, await Guest.filter(name="ann").values()]
        with suppress(ZeroDivisionError):
            async with in_transaction():
                await Guest.create(name="lost")
                raise ZeroDivisionError
        try:
            await Guest.create(name="ann")
        except IntegrityError as error:
            seen.append(str(error))
        await asyncio.gather(*(Guest.create(name=f"g{number}") for number in range(5)))
        seen += [await Guest.all().order_by("name").values_list("name", "rate"), await Guest.all().count()]
        found = await Guest.all().prefetch_related("nights").annotate(many=Count("nights")).order_by("name")
        seen += [(one.name, vars(one)["many"], sorted(night.number for night in one.nights)) for one in found]
        seen.append(await Night.filter(number__gte=28).update(number=0))
        return [*seen, await Night.filter(number=0).count(), await Night.filter(number=0).delete()]
    finally:
        await Tortoise.close_connections()


class Hero(sqlmodel.SQLModel, table=True):
    """Of SQLModel's own tutorial."""

    id: int | None = sqlmodel.Field(default=None, primary_key=True)
    name: str = sqlmodel.Field(index=True, max_length=40)
    age: int | None = None


def by_sqlmodel(url: str) -> Any:
    """SQLModel: models, selects, an update, a delete."""
    engine = sqlmodel.create_engine(url)
    try:
        sqlmodel.SQLModel.metadata.drop_all(engine)
        sqlmodel.SQLModel.metadata.create_all(engine)
        with sqlmodel.Session(engine) as session:
            session.add_all([Hero(name="Deadpond"), Hero(name="Rusty-Man", age=48), Hero(name="Spider-Boy", age=16)])
            session.commit()
            rusty = session.exec(sqlmodel.select(Hero).where(Hero.name == "Rusty-Man")).one()
            rusty.age = 49
            session.add(rusty)
            session.commit()
            session.refresh(rusty)
            session.delete(session.exec(sqlmodel.select(Hero).where(Hero.age == 16)).one())
            session.commit()
            return [rusty.model_dump(), [one.model_dump() for one in session.exec(sqlmodel.select(Hero)).all()]]
    finally:
        engine.dispose()


def by_pony(*provider: Any, **address: Any) -> Any:
    """Pony: entities, generators as queries, a rollback, an error."""
    database = pony.Database()

    class Walker(database.Entity):  # type: ignore[misc, name-defined]  # made at run time
        _table_ = "walker"
        name = pony.Required(str, 40, unique=True)
        born = pony.Optional(int)
        walks = pony.Set("Walk")

    class Walk(database.Entity):  # type: ignore[misc, name-defined]  # likewise
        _table_ = "walk"
        walker = pony.Required(Walker)
        miles = pony.Required(Decimal)

    database.bind(*provider, **address)
    try:
        database.generate_mapping(check_tables=False)
        database.drop_all_tables(with_all_data=True)
        database.create_tables()
        with pony.db_session:
            ann = Walker(name="ann", born=1999)
            for number in range(10):
                Walk(walker=ann, miles=Decimal(number) / 2)
        with pony.db_session:
            seen: list[Any] = [one.to_dict() for one in Walker.select(lambda one: one.name == "ann")]
            seen.append(pony.sum(one.miles for one in Walk))  # type: ignore[attr-defined]  # by its metaclass
            seen.append(sorted(one.miles for one in Walker.get(name="ann").walks))
            Walker(name="bob")
            pony.rollback()
            seen.append(Walker.select().count())
        with suppress(pony.TransactionIntegrityError), pony.db_session:
            Walker(name="ann")
        return seen
    finally:
        database.disconnect()


_ENVIRONMENT: Final = """
from alembic import context
from sqlalchemy import create_engine

engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
"""
_FIRST: Final = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "first", None

def upgrade():
    table = op.create_table("moved", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(40)))
    op.bulk_insert(table, [{"name": "ann"}, {"name": "bob"}])

def downgrade():
    op.drop_table("moved")
"""
_SECOND: Final = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "second", "first"

def upgrade():
    op.add_column("moved", sa.Column("age", sa.Integer, server_default="7"))
    op.create_index("moved_name", "moved", ["name"])
    op.execute("UPDATE moved SET age = 8 WHERE name = 'bob'")

def downgrade():
    op.drop_column("moved", "age")
"""


def by_alembic(url: str) -> Any:
    """Alembic: two migrations up, one down, and what the table holds then."""
    seen: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        versions = Path(folder, "versions")
        versions.mkdir()
        Path(folder, "env.py").write_text(_ENVIRONMENT)
        for name, text in (("first", _FIRST), ("second", _SECOND)):
            (versions / f"{name}.py").write_text(text)
        config = Config(stdout=io.StringIO())
        config.set_main_option("script_location", folder)
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        alembic.command.upgrade(config, "head")
        engine = sqlmodel.create_engine(url)
        with engine.connect() as connection:
            seen.append([tuple(row) for row in connection.execute(sqlmodel.text("SELECT * FROM moved ORDER BY id"))])
        alembic.command.downgrade(config, "first")
        alembic.command.downgrade(config, "base")
        with engine.connect() as connection:
            seen.append([tuple(row) for row in connection.execute(sqlmodel.text("SELECT * FROM alembic_version"))])
        engine.dispose()
    return seen
