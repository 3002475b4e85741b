"""A shop on asyncpg: orders in a transaction, reads by parameter, a pool. The environment may change what it asks."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from fastapi import FastAPI
from pydantic import BaseModel

CHANGE = os.environ.get("CHANGE", "")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    id serial PRIMARY KEY, code uuid, buyer text, password text, at timestamptz DEFAULT now()
);
CREATE TABLE IF NOT EXISTS lines (order_id int REFERENCES orders, item text, price numeric, UNIQUE (order_id, item));
CREATE TABLE IF NOT EXISTS audit (order_id int, buyer text);
CREATE TABLE IF NOT EXISTS draft (order_id int, buyer text);
"""


class Order(BaseModel):
    """What a buyer asks for."""

    buyer: str
    items: list[str]
    password: str = ""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep a pool while the app runs."""
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=10) as pool:
        await pool.execute(_SCHEMA)
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


async def lines(connection: Any, order: int, asked: Order) -> None:
    """Write what was ordered."""
    rows = [(order, item, 2.5) for item in asked.items]
    if CHANGE != "dropped":
        await connection.executemany("INSERT INTO lines VALUES ($1, $2, $3)", rows)


async def audit(connection: Any, order: int, asked: Order) -> None:
    """Write who ordered."""
    asked_of = {"table": "INSERT INTO draft (order_id, buyer) VALUES ($1, $2)"}
    usual = "INSERT INTO audit (order_id, buyer) VALUES ($1, $2)"
    await connection.execute(asked_of.get(CHANGE, usual), order, asked.buyer)


if CHANGE == "refactored":
    write_who_ordered = audit

    async def audit(connection: Any, order: int, asked: Order) -> None:
        """The same by a function more, and with more to log."""
        logging.getLogger(__name__).warning("%s ordered", uuid.uuid4())
        await write_who_ordered(connection, order, asked)


@app.post("/orders")
async def order(asked: Order) -> dict[str, Any]:
    """Take an order: a row, its lines, and what the database says of both."""
    async with app.state.pool.acquire() as connection:
        async with connection.transaction():
            made = await connection.fetchrow(
                "INSERT INTO orders (code, buyer, password) VALUES ($1, $2, $3) RETURNING id, at",
                uuid.uuid4(), asked.buyer, asked.password,
            )  # fmt: skip
            for write in (audit, lines) if CHANGE == "swapped" else (lines, audit):
                await write(connection, made["id"], asked)
            if CHANGE == "extra":
                await connection.execute("UPDATE orders SET buyer = $1 WHERE id = $2", "nobody", made["id"])
            if CHANGE == "lost commit":
                await connection.execute("ROLLBACK")
                return {"id": made["id"]}
        row = await connection.fetchrow(
            "SELECT id, code, buyer, at FROM orders WHERE id = $1", made["id"] + (CHANGE == "other id")
        )
    return dict(row)


@app.get("/orders")
async def orders(buyer: str) -> list[dict[str, Any]]:
    """List the lines of a buyer."""
    limit = 5 if CHANGE == "limit" else 100
    found = await app.state.pool.fetch(
        "SELECT item, price FROM lines JOIN orders ON order_id = id WHERE buyer = $1 AND price < $2 ORDER BY item",
        buyer,
        limit,
    )
    return [dict(row) for row in found]


@app.get("/broken")
async def broken() -> dict[str, Any]:
    """Break a constraint, and say what the database said."""
    try:
        await app.state.pool.execute("INSERT INTO lines VALUES (1000000, 'x', 1)")
    except asyncpg.PostgresError as error:
        return {"sqlstate": error.sqlstate, "constraint": getattr(error, "constraint_name", "")}
    return {}
