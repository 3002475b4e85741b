"""A shop on PyMySQL, with threads. The environment may change what it asks."""

from __future__ import annotations

import os
import uuid
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pymysql
from flask import Flask, request
from pymysql.cursors import DictCursor

CHANGE = os.environ.get("CHANGE", "")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    id INT AUTO_INCREMENT PRIMARY KEY, code BINARY(16), buyer VARCHAR(40), password VARCHAR(80),
    at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS `lines` (
    order_id INT, item VARCHAR(40), price DECIMAL(8,2), UNIQUE (order_id, item),
    CONSTRAINT line_of_order FOREIGN KEY (order_id) REFERENCES orders (id)
)"""
app = Flask(__name__)


def connect() -> Any:
    """Connect, anew for each request."""
    at = urlsplit(os.environ["MYSQL_URL"])
    return pymysql.connect(
        host=at.hostname, port=at.port or 3306, user=at.username, password=at.password or "", database=at.path[1:],
        cursorclass=DictCursor,
    )  # fmt: skip


with connect() as connected, connected.cursor() as schema:
    for statement in _SCHEMA.split(";"):
        schema.execute(statement)


@app.post("/orders")
def order() -> dict[str, Any]:
    """Take an order: a row, its lines, and what the database says of both."""
    asked = request.get_json()
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orders (code, buyer, password) VALUES (%s, %s, %s)",
            (uuid.uuid4().bytes, asked["buyer"], asked.get("password", "")),
        )
        made = cursor.lastrowid
        lines = [(made, item, Decimal("2.5")) for item in asked["items"]]
        if CHANGE != "dropped":
            cursor.executemany("INSERT INTO `lines` (order_id, item, price) VALUES (%s, %s, %s)", lines)
        if CHANGE == "extra":
            cursor.execute("UPDATE orders SET buyer = %s WHERE id = %s", ("nobody", made))
        if CHANGE != "lost":
            connection.commit()
        wanted = made + (CHANGE == "other id")
        cursor.execute("SELECT id, HEX(code) code, buyer, at FROM orders WHERE id = %s", (wanted,))
        row: Any = cursor.fetchone()
    return {**row, "at": row["at"].isoformat()}


@app.get("/orders")
def orders() -> list[dict[str, Any]]:
    """List the lines of a buyer."""
    limit = 5 if CHANGE == "limit" else 100
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT item, price FROM `lines` JOIN orders ON id = order_id WHERE buyer = %s AND price < %s ORDER BY 1",
            (request.args["buyer"], limit),
        )
        return [{"item": row["item"], "price": str(row["price"])} for row in cursor.fetchall()]


@app.get("/broken")
def broken() -> dict[str, Any]:
    """Break a constraint, and say what the database said."""
    try:
        with connect() as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO `lines` (order_id, item, price) VALUES (1000000, 'x', 1)")
    except pymysql.err.MySQLError as error:
        return {"number": error.args[0], "said": error.args[1]}
    return {}
