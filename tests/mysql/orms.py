"""What programs do with object mappers on MySQL: each is given an address and returns all that it saw."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any, Final

import peewee

from tests.support.mappers import by_tortoise
from tests.support.orm import orm, orm_async

__all__ = ["PROGRAMS"]


def url(driver: str, address: dict[str, Any]) -> str:
    """Say where a database is in SQLAlchemy's way."""
    at = "{user}:{password}@{host}:{port}/{database}".format(**address)
    return f"mariadb+{driver}://{at}"


def sqlalchemy_pymysql(address: dict[str, Any]) -> Any:
    """SQLAlchemy in threads' style."""
    return orm(url("pymysql", address))


def sqlalchemy_aiomysql(address: dict[str, Any]) -> Any:
    """SQLAlchemy's asyncio engine."""
    return asyncio.run(orm_async(url("aiomysql", address)))


def sqlalchemy_asyncmy(address: dict[str, Any]) -> Any:
    """The same on another driver."""
    return asyncio.run(orm_async(url("asyncmy", address)))


def tortoise_asyncmy(address: dict[str, Any]) -> Any:
    """Tortoise, which takes asyncmy where it is installed."""
    return by_tortoise(url("", address).replace("mariadb+", "mysql"))


class Customer(peewee.Model):
    """Somebody who buys."""

    name = peewee.CharField(unique=True)
    born = peewee.DateField(null=True)
    balance = peewee.DecimalField(default=0)


class Purchase(peewee.Model):
    """What they buy."""

    customer = peewee.ForeignKeyField(Customer, backref="orders")
    item = peewee.TextField()
    code = peewee.UUIDField(null=True)


def peewee_pymysql(address: dict[str, Any]) -> Any:
    """Peewee: models, relations, savepoints, upserts, transactions."""
    database = peewee.MySQLDatabase(**address)

    seen: list[Any] = []
    with database.bind_ctx([Customer, Purchase]), database.connection_context():
        database.drop_tables([Purchase, Customer])
        database.create_tables([Customer, Purchase])
        ann = Customer.create(name="ann", born=dt.date(2000, 2, 29), balance="12.5")
        Purchase.insert_many([{"customer": ann, "item": f"tea {n}"} for n in range(20)]).execute()
        seen.append(list(Purchase.select().where(Purchase.customer == ann).order_by(Purchase.item).dicts()))
        with database.atomic() as whole:
            Customer.create(name="bob")
            try:
                with database.atomic():
                    Customer.create(name="ann")
            except peewee.IntegrityError as error:
                seen.append((type(error), error.args))
            whole.rollback()
        seen.append(Customer.select().count())
        Customer.insert(name="ann", balance=3).on_conflict(preserve=[Customer.balance]).execute()
        seen.append(list(Customer.select().dicts()))
        seen.append(Purchase.delete().where(Purchase.item == "tea 3").execute())
        seen.append(sorted(database.get_tables()))
    return seen


PROGRAMS: Final = {
    one.__name__: one
    for one in (sqlalchemy_pymysql, sqlalchemy_aiomysql, sqlalchemy_asyncmy, tortoise_asyncmy, peewee_pymysql)
}
