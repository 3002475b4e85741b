"""A shop on a database file: connections of requests, threads and tasks that ask at once."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import sqlite3
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask, g, request

app = Flask(__name__)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, code TEXT, buyer TEXT, password TEXT, price REAL, at TIMESTAMP
);
CREATE TABLE IF NOT EXISTS lines (order_id INTEGER REFERENCES orders, item TEXT, UNIQUE (order_id, item));
"""


def connect() -> sqlite3.Connection:
    """Open the shop's database."""
    connection = sqlite3.connect(os.environ["SHOP"], check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def database() -> sqlite3.Connection:
    """Give the connection of this request."""
    if "database" not in g:
        g.database = connect()
    database: sqlite3.Connection = g.database
    return database


@app.teardown_appcontext
def close(_error: object) -> None:
    """Close it."""
    if (connection := g.pop("database", None)) is not None:
        connection.close()


@app.post("/orders")
def order() -> dict[str, Any]:
    """Take an order: a row made here, and lines that refer to it."""
    asked = request.get_json()
    with database() as connection:
        made = connection.execute(
            "INSERT INTO orders (code, buyer, password, price, at) VALUES (?, ?, ?, ?, ?)",
            (str(uuid.uuid4()), asked["buyer"], asked.get("password"), 1.5, dt.datetime.now(dt.UTC).isoformat()),
        )
        lines = [(made.lastrowid, item) for item in asked["items"]]
        connection.executemany("INSERT INTO lines VALUES (?, ?)", lines)
    row = connection.execute("SELECT id, code, at FROM orders WHERE id = ?", (made.lastrowid,)).fetchone()
    return dict(row)


@app.get("/orders")
def orders() -> list[dict[str, Any]]:
    """List a buyer's orders, up to a price that the environment may change."""
    limit = float(os.environ.get("LIMIT", "100"))
    found = database().execute(
        "SELECT id, buyer, price FROM orders WHERE buyer = :buyer AND price < :limit ORDER BY id",
        {"buyer": request.args["buyer"], "limit": limit},
    )
    return [dict(row) for row in found]


@app.get("/count")
def count() -> dict[str, Any]:
    """Ask in several threads of a pool, and by asyncio."""

    def ask(number: int) -> int:
        connection = connect()
        try:
            (found,) = connection.execute("SELECT count(*) + ? FROM lines", (number,)).fetchone()
        finally:
            connection.close()
        return int(found)

    async def at_once() -> list[int]:
        return await asyncio.gather(*(asyncio.to_thread(ask, 100 + number) for number in range(3)))

    with ThreadPoolExecutor(3) as pool:
        by_threads = list(pool.map(ask, range(3)))
    return {"threads": by_threads, "tasks": asyncio.run(at_once())}


if os.environ.get("SETUP"):
    opened = connect()
    opened.executescript(_SCHEMA)
    opened.close()
