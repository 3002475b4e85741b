"""A shop by Flask whose discount goes wrong for an article that it does not have."""

from __future__ import annotations

import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask

app = Flask(__name__)
POOL = ThreadPoolExecutor(2)
SEEN: dict[str, int] = {}


def price(article: str) -> int:
    """What an article costs."""
    prices = {"pen": 3, "ink": 4}
    return prices.get(article, 0)


def ask(statement: str) -> list[Any]:
    """Ask the database."""
    connection = sqlite3.connect(os.environ["SHOP"])
    rows = connection.execute(statement).fetchall()  # asks
    connection.close()
    return rows


@app.get("/discount/<article>")
def discount(article: str) -> dict[str, Any]:
    """Compute one, the long way."""
    total = 0  # entry
    for one in ("pen", "pen", "ink"):
        total += price(one)  # adds
    rows = ask("select 7")
    wrong = price(article)  # cause
    SEEN[article] = SEEN.get(article, 0) + 1
    rate = total // wrong  # fails
    return {"total": total, "rate": rate, "rows": len(rows)}


@app.get("/pooled")
def pooled() -> dict[str, Any]:
    """Ask in the threads of a pool that is older than the request."""
    prices = list(POOL.map(price, ("pen", "ink", "pen")))
    rows = POOL.submit(ask, "select 8").result()
    total = sum(prices)  # summed
    return {"total": total, "rows": len(rows)}


@app.get("/now")
def now() -> dict[str, Any]:
    """Tell what differs in each run but in a replay."""
    first = time.time()
    return {"time": first}
