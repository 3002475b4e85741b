"""The measured program: an app whose request makes many small calls by one driver. Prints µs of a call as JSON.

usage: small_calls_app.py DRIVER LANES [PROFILE]

Drivers: psycopg, psycopg2, asyncpg, pymysql, sqlite3, redis, pymongo; the first five with ``-rows`` too (1,000 rows of
4 columns). With PROFILE the measured requests run under cProfile, whose statistics go to that file.
"""

# ruff: noqa: PLC0415 - each driver is imported only where it is measured
from __future__ import annotations

import asyncio
import contextlib
import cProfile
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

CALLS = 200
ROWS_CALLS = 10
KEY = "k" * 16
SQL = "SELECT id, name, price FROM items WHERE id = "
MANY = "SELECT id, name, price, stock FROM many"
WARM_UP = 3

Call = Callable[[int], Any]
AsyncCall = Callable[[int], Awaitable[Any]]


def psycopg_call() -> Call:
    """One row by its id, by a cursor of the connection."""
    import psycopg

    connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    return lambda number: connection.execute(SQL + "%s", (number,)).fetchone()


def psycopg_rows_call() -> Call:
    """A thousand rows."""
    import psycopg

    connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    return lambda _number: connection.execute(MANY).fetchall()


def _by_cursor(connection: Any) -> Call:
    def call(number: int) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(SQL + "%s", (number,))
            return cursor.fetchone()

    return call


def _rows_by_cursor(connection: Any) -> Call:
    def call(_number: int) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(MANY)
            return cursor.fetchall()

    return call


def _psycopg2() -> Any:
    import psycopg2

    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    connection.autocommit = True
    return connection


def _pymysql() -> Any:
    import pymysql

    return pymysql.connect(**json.loads(os.environ["MYSQL_ADDRESS"]))


def _sqlite3() -> Any:
    import sqlite3

    return sqlite3.connect(os.environ["SQLITE_FILE"])


def redis_call() -> Call:
    """A GET of 567 B."""
    import redis

    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    return lambda _number: client.get(KEY)


def pymongo_call() -> Call:
    """A find_one of about 570 B."""
    from pymongo import MongoClient

    items: Any = MongoClient(os.environ["MONGODB_URI"]).bench.items
    return lambda number: items.find_one({"_id": number % 20})


async def asyncpg_call() -> AsyncCall:
    """One row by its id."""
    import asyncpg

    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    return lambda number: connection.fetchrow(SQL + "$1", number)


async def asyncpg_rows_call() -> AsyncCall:
    """A thousand rows."""
    import asyncpg

    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    return lambda _number: connection.fetch(MANY)


def sqlite3_call() -> Call:
    """One row by its id, by a cursor of the connection."""
    connection = _sqlite3()
    return lambda number: connection.execute(SQL + "?", (number,)).fetchone()


def sqlite3_rows_call() -> Call:
    """A thousand rows."""
    connection = _sqlite3()
    return lambda _number: connection.execute(MANY).fetchall()


PLAIN: dict[str, Callable[[], Call]] = {
    "psycopg": psycopg_call,
    "psycopg-rows": psycopg_rows_call,
    "psycopg2": lambda: _by_cursor(_psycopg2()),
    "psycopg2-rows": lambda: _rows_by_cursor(_psycopg2()),
    "pymysql": lambda: _by_cursor(_pymysql()),
    "pymysql-rows": lambda: _rows_by_cursor(_pymysql()),
    "sqlite3": sqlite3_call,
    "sqlite3-rows": sqlite3_rows_call,
    "redis": redis_call,
    "pymongo": pymongo_call,
}
ASYNC: dict[str, Callable[[], Awaitable[AsyncCall]]] = {"asyncpg": asyncpg_call, "asyncpg-rows": asyncpg_rows_call}


def _environ() -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/work", "QUERY_STRING": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http",
        "wsgi.input": sys.stdin.buffer, "wsgi.errors": sys.stderr,
    }  # fmt: skip


def measure_plain(make: Callable[[], Call], calls: int, lanes: int, profile: str) -> dict[str, float]:
    """Measure the calls of a Flask app, straight through WSGI."""
    from flask import Flask

    app, call = Flask("small_calls"), make()

    @app.get("/work")
    def work() -> str:
        for number in range(calls):
            if not call(number):
                raise SystemExit("the measured call found nothing")
        return "done"

    def request() -> None:
        body = app(_environ(), lambda *_: lambda _data: None)
        if b"done" not in b"".join(body):
            raise SystemExit("the measured app did not answer")
        close = getattr(body, "close", None)
        if close is not None:
            close()

    for _ in range(WARM_UP):
        request()
    figures = _Figures(calls, profile)
    for _ in range(lanes):
        with figures.lane():
            request()
    return figures.result()


async def measure_async(
    make: Callable[[], Awaitable[AsyncCall]], calls: int, lanes: int, profile: str
) -> dict[str, float]:
    """Measure the calls of a Starlette app, straight through ASGI."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    call = await make()

    async def work(_request: Any) -> PlainTextResponse:
        for number in range(calls):
            if not await call(number):
                raise SystemExit("the measured call found nothing")
        return PlainTextResponse("done")

    app = Starlette(routes=[Route("/work", work)])
    path = {"path": "/work", "raw_path": b"/work", "query_string": b"", "root_path": "", "headers": []}
    kind = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http"}

    async def request() -> None:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await app({**kind, **path, "server": ("localhost", 80), "client": ("localhost", 1)}, receive, send)
        if not sent or sent[0].get("status") != 200:
            raise SystemExit("the measured app did not answer")

    for _ in range(WARM_UP):
        await request()
    figures = _Figures(calls, profile)
    for _ in range(lanes):
        with figures.lane():
            await request()
    return figures.result()


class _Figures:
    """What the lanes took; the least counts, since whatever else runs on the machine only adds to it."""

    def __init__(self, calls: int, profile: str) -> None:
        self._calls = calls
        self._profile = profile
        self._profiler = cProfile.Profile() if profile else None
        self._cpu: list[float] = []
        self._wall: list[float] = []

    @contextlib.contextmanager
    def lane(self) -> Iterator[None]:
        """Measure one lane."""
        cpu, wall = time.process_time(), time.perf_counter()
        with self._profiler or contextlib.nullcontext():
            yield
        self._cpu.append(time.process_time() - cpu)
        self._wall.append(time.perf_counter() - wall)

    def result(self) -> dict[str, float]:
        """Give µs of a call."""
        if self._profiler is not None:
            self._profiler.dump_stats(self._profile)
        return {"cpu_us": min(self._cpu) / self._calls * 1e6, "wall_us": min(self._wall) / self._calls * 1e6}


def main(driver: str, lanes: int, profile: str = "") -> None:
    """Print the figures of one driver."""
    calls = ROWS_CALLS if driver.endswith("-rows") else CALLS
    if driver in ASYNC:
        result = asyncio.run(measure_async(ASYNC[driver], calls, lanes, profile))
    else:
        result = measure_plain(PLAIN[driver], calls, lanes, profile)
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
