"""The same shop on psycopg, with threads. The environment may change what it asks."""

from __future__ import annotations

import os
import uuid
from decimal import Decimal
from typing import Any

import psycopg
from flask import Flask, request
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

CHANGE = os.environ.get("CHANGE", "")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    id serial PRIMARY KEY, code uuid, buyer text, password text, at timestamptz DEFAULT now()
);
CREATE TABLE IF NOT EXISTS lines (order_id int REFERENCES orders, item text, price numeric, UNIQUE (order_id, item));
CREATE TABLE IF NOT EXISTS audit (order_id int, buyer text);
CREATE TABLE IF NOT EXISTS draft (order_id int, buyer text);
"""

app = Flask(__name__)
pool = ConnectionPool(
    os.environ["DATABASE_URL"], min_size=1, max_size=10, open=True, kwargs={"row_factory": dict_row}, timeout=60
)
with pool.connection() as connected:
    connected.execute(_SCHEMA)


def lines(connection: Any, order: int, asked: Any) -> None:
    """Write what was ordered."""
    rows = [(order, item, Decimal("2.5")) for item in asked["items"]]
    if CHANGE != "dropped":
        connection.cursor().executemany("INSERT INTO lines VALUES (%s, %s, %s)", rows)


def audit(connection: Any, order: int, asked: Any) -> None:
    """Write who ordered."""
    asked_of = {"table": "INSERT INTO draft (order_id, buyer) VALUES (%s, %s)"}
    usual = "INSERT INTO audit (order_id, buyer) VALUES (%s, %s)"
    connection.execute(asked_of.get(CHANGE, usual), (order, asked["buyer"]))


if CHANGE == "refactored":
    write_who_ordered = audit

    def audit(connection: Any, order: int, asked: Any) -> None:
        """The same by a function more, and with more to log."""
        app.logger.warning("%s ordered", uuid.uuid4())
        write_who_ordered(connection, order, asked)


@app.post("/orders")
def order() -> dict[str, Any]:
    """Take an order: a row, its lines, and what the database says of both."""
    asked = request.get_json()
    with pool.connection() as connection:
        made: Any = connection.execute(
            "INSERT INTO orders (code, buyer, password) VALUES (%s, %s, %s) RETURNING id, at",
            (uuid.uuid4(), asked["buyer"], asked.get("password", "")),
        ).fetchone()
        for write in (audit, lines) if CHANGE == "swapped" else (lines, audit):
            write(connection, made["id"], asked)
        if CHANGE == "extra":
            connection.execute("UPDATE orders SET buyer = %s WHERE id = %s", ("nobody", made["id"]))
        if CHANGE == "lost commit":
            connection.rollback()
    with pool.connection() as connection:
        row: Any = connection.execute(
            "SELECT id, code, buyer, at FROM orders WHERE id = %s", (made["id"] + (CHANGE == "other id"),)
        ).fetchone()
    return {**row, "at": row["at"].isoformat()}


@app.get("/orders")
def orders() -> list[dict[str, Any]]:
    """List the lines of a buyer."""
    limit = 5 if CHANGE == "limit" else 100
    with pool.connection() as connection:
        found: Any = connection.execute(
            "SELECT item, price FROM lines JOIN orders ON order_id = id WHERE buyer = %s AND price < %s ORDER BY item",
            (request.args["buyer"], limit),
        ).fetchall()
    return [{"item": row["item"], "price": str(row["price"])} for row in found]


@app.get("/broken")
def broken() -> dict[str, Any]:
    """Break a constraint, and say what the database said."""
    try:
        with pool.connection() as connection:
            connection.execute("INSERT INTO lines VALUES (1000000, 'x', 1)")
    except psycopg.Error as error:
        return {"sqlstate": error.sqlstate, "constraint": error.diag.constraint_name}
    return {}
