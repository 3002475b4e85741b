"""An object mapper's models and what a program does with them; SQLAlchemy stands on any of the drivers."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import ForeignKey, String, TextClause, create_engine, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload

__all__ = ["orm", "orm_async"]


class Base(DeclarativeBase):
    """The models' base."""


class Buyer(Base):
    """Somebody who buys."""

    __tablename__ = "buyer"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    code: Mapped[uuid.UUID]
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    orders: Mapped[list[Order]] = relationship(back_populates="buyer")


class Order(Base):
    """What they buy."""

    __tablename__ = "bought"
    id: Mapped[int] = mapped_column(primary_key=True)
    buyer_id: Mapped[int] = mapped_column(ForeignKey("buyer.id"))
    item: Mapped[str] = mapped_column(String(40))
    buyer: Mapped[Buyer] = relationship(back_populates="orders")


def _bought(session: Session) -> list[Any]:
    buyers = [
        Buyer(name=f"b{n}", code=uuid.UUID(int=n), orders=[Order(item=f"{n} {m}") for m in range(3)]) for n in range(40)
    ]
    session.add_all(buyers)
    session.commit()
    chosen = select(Buyer).options(selectinload(Buyer.orders)).where(Buyer.name.in_(["b1", "b2"])).order_by(Buyer.id)
    seen: list[Any] = [
        (one.id, one.name, one.code, one.at, [order.item for order in one.orders]) for one in session.scalars(chosen)
    ]
    try:
        with session.begin_nested():
            session.add(Buyer(name="b1", code=uuid.UUID(int=1)))
            session.flush()
    except IntegrityError as error:
        seen.append((type(error.orig).__name__, str(error)))
    session.execute(update(Order).where(Order.item.like("7 %")).values(item="seven"))
    made = session.execute(
        insert(Order).returning(Order.id), [{"buyer_id": 1, "item": "x"}, {"buyer_id": 2, "item": "y"}]
    )
    seen.append(sorted(made.scalars()))
    seen.append(session.scalar(select(func.count()).select_from(Order).where(Order.item == "seven")))
    session.rollback()
    seen.append(session.scalar(select(func.count()).select_from(Order).where(Order.item == "seven")))
    return seen


def _numbers(url: str) -> TextClause:
    """A query that has three hundred rows, which each database makes in its own way."""
    has_series = url.startswith("postgres")
    return text("SELECT n FROM generate_series(1, 300) AS n" if has_series else "SELECT seq AS n FROM seq_1_to_300")


async def orm_async(url: str) -> Any:
    """Use the asyncio engine: models, relations, savepoints, bulk, a stream."""
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(engine) as session:
            seen = await session.run_sync(_bought)
        async with engine.connect() as connection:
            rows = await connection.stream(_numbers(url))
            seen.append([row.n async for row in rows])
    finally:
        await engine.dispose()
    return seen


def orm(url: str) -> Any:
    """Likewise in threads' style."""
    engine = create_engine(url)
    try:
        Base.metadata.drop_all(engine)
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            seen = _bought(session)
        with engine.connect().execution_options(yield_per=50) as connection:
            seen.append([row.n for row in connection.execute(_numbers(url))])
    finally:
        engine.dispose()
    return seen
