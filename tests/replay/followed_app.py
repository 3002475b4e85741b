"""A Flask app, and the same as a script, whose fix writes something else than was recorded."""

from __future__ import annotations

import os
import sqlite3
import sys
import uuid

from flask import Flask, Response, jsonify, request

FIXED = bool(os.environ.get("FIXED"))
MENDED = bool(os.environ.get("MENDED"))
app = Flask(__name__)


def order(quantity: int) -> dict[str, object]:
    """Write an order and a line of its log; read the order back."""
    if quantity < 0 and not MENDED:
        raise ValueError(quantity)
    connection = sqlite3.connect(os.environ["DATABASE"], isolation_level=None)
    connection.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT, total INT)")
    name = str(uuid.uuid4())
    total = quantity * 12 if FIXED else quantity * 10
    connection.execute("INSERT INTO orders VALUES (?, ?)", (name, total))
    if FIXED:
        name = f"{name}-{uuid.uuid4()}"
        connection.execute("INSERT INTO orders VALUES (?, ?)", (name, 0))
    count = connection.execute("SELECT count(*) FROM orders").fetchone()[0]
    return {"order": name, "total": total, "count": count}


@app.post("/orders")
def orders() -> Response:
    """Take an order."""
    return jsonify(order(request.get_json()["quantity"]))


if __name__ == "__main__":
    sys.stdout.write(f"first {order(1)['total']}\n")
    sys.stdout.write(f"second {order(2)['total']}\n")
    sys.exit(3 if FIXED else 0)
