"""Small calls of databases and caches: what recording one costs beside plain OpenTelemetry, how fast a replay answers.

``python -m benchmarks.small_calls [DRIVER …]`` prints the figures, ``python -m benchmarks.run small_calls`` the ratios.
It needs the programs that ``scripts/install-servers`` installs.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import redis
from pymongo import MongoClient
from rich.console import Console
from rich.table import Table

from benchmarks.programs import NO_EXPORTERS, measured
from benchmarks.small_calls_app import KEY
from examples.support import accepts, free_port
from tests.support import mysql, postgres
from tests.support.commands import OTEL
from tests.support.mongo import MongoServer

ROUNDS = 3
LANES = 10
DRIVERS = (
    "psycopg", "psycopg-rows", "psycopg2", "psycopg2-rows", "asyncpg", "asyncpg-rows", "pymysql", "pymysql-rows",
    "sqlite3", "sqlite3-rows", "redis", "pymongo",
)  # fmt: skip
VARIANTS = ("bare", "otel", "record", "own", "replay")
_APP = str(Path(__file__).with_name("small_calls_app.py"))
_CREATE = "CREATE TABLE {} (id INTEGER PRIMARY KEY, name VARCHAR(40), price DOUBLE PRECISION, stock INTEGER)"
_INSERT = "INSERT INTO {} VALUES ({}, {}, {}, {})"

Figures = dict[str, dict[str, float]]
"""CPU and wall time of a call in µs, by variant."""


@contextmanager
def _postgres() -> Iterator[dict[str, str]]:
    with postgres.running() as server:
        with psycopg.connect(server.dsn) as connection, connection.cursor() as cursor:
            _fill(cursor)
        yield {"DATABASE_URL": server.dsn}


@contextmanager
def _mysql() -> Iterator[dict[str, str]]:
    with mysql.running() as server:
        with pymysql.connect(**server.address) as connection, connection.cursor() as cursor:
            _fill(cursor)
            connection.commit()
        yield {"MYSQL_ADDRESS": json.dumps(server.address)}


@contextmanager
def _sqlite() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/shop.sqlite3"
        with closing(sqlite3.connect(file)) as connection:
            _fill(connection.cursor(), mark="?")
            connection.commit()
        yield {"SQLITE_FILE": file}


def _fill(cursor: Any, mark: str = "%s") -> None:
    for table, rows in (("items", 200), ("many", 1000)):
        cursor.execute(_CREATE.format(table))
        values = [(n, f"item number {n}", n * 1.5, n % 7) for n in range(rows)]
        cursor.executemany(_INSERT.format(table, mark, mark, mark, mark), values)


@contextmanager
def _redis() -> Iterator[dict[str, str]]:
    port = free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no", "--loglevel", "warning"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            while not accepts(port):
                time.sleep(0.02)
            url = f"redis://127.0.0.1:{port}/0"
            redis.Redis.from_url(url).set(KEY, "x" * 567)
            yield {"REDIS_URL": url}
        finally:
            process.terminate()


@contextmanager
def _mongo() -> Iterator[dict[str, str]]:
    with MongoServer() as server:
        items: Any = MongoClient(server.uri).bench.items
        items.insert_many([{"_id": n, "text": "x" * 500, "n": n, "tags": ["a", "b"]} for n in range(20)])
        yield {"MONGODB_URI": server.uri}


_SERVERS = {
    "psycopg": _postgres, "psycopg2": _postgres, "asyncpg": _postgres, "pymysql": _mysql, "sqlite3": _sqlite,
    "redis": _redis, "pymongo": _mongo,
}  # fmt: skip


def _figures_of(driver: str, live: dict[str, str], rounds: int) -> Figures:
    """The variants take turns, the median round counts."""
    program = [sys.executable, _APP, driver, str(LANES)]
    kept: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        without = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": driver.partition("-")[0]}
        # Without the recorded clock: the program measures itself, and would be given the recorded times.
        replay = {"TIMETRACER_NONDETERMINISM": "none", "TIMETRACER_MODE": "replay", "TIMETRACER_CASSETTE": name}
        record = [*OTEL, "--traces_exporter", "timetracer", *program]
        for _ in range(rounds):
            results = {
                "bare": measured(program, live),
                "otel": measured([*OTEL, *program], {**live, **NO_EXPORTERS}),
                "record": measured(record, {**live, "TIMETRACER_DIR": name}),
                "own": measured(record, {**live, **without, "TIMETRACER_DIR": f"{name}/own"}),
            }
            results["replay"] = measured([*OTEL, *program], {**live, **replay, **NO_EXPORTERS})
            for variant, result in results.items():
                kept.setdefault(variant, []).append(result)
    return {
        variant: {figure: statistics.median(one[figure] for one in results) for figure in results[0]}
        for variant, results in kept.items()
    }


def figures(drivers: Sequence[str] = DRIVERS, rounds: int = ROUNDS) -> dict[str, Figures]:
    """Give the figures of each driver."""
    found: dict[str, Figures] = {}
    with ExitStack() as stack:
        running: dict[Any, dict[str, str]] = {}
        for driver in drivers:
            server = _SERVERS[driver.partition("-")[0]]
            if server not in running:
                running[server] = stack.enter_context(server())
            found[driver] = _figures_of(driver, running[server], rounds)
    return found


def measure() -> list[tuple[str, float, str]]:
    """Give rows of name, ratio and bound."""
    rows = []
    for driver, one in figures().items():
        cpu = {variant: figure["cpu_us"] for variant, figure in one.items()}
        is_redis, is_many = driver == "redis", driver.endswith("-rows")
        wall = one["replay"]["wall_us"] / one["bare"]["wall_us"]
        own = "≤ 1.1" if is_many else "≤ 1.25" if is_redis else "≤ 1.15"
        rows += [
            (f"CPU of a call by {driver}, record ÷ OpenTelemetry", cpu["record"] / cpu["otel"], "≤ 1.15"),
            ("the same without OpenTelemetry's instrumentor, record ÷ bare", cpu["own"] / cpu["bare"], own),
            ("time of the same, replay ÷ bare driver live", wall, "≤ 0.6" if is_redis else "≤ 0.5"),
        ]
    return rows


def main(drivers: Sequence[str]) -> None:
    """Print every figure."""
    table = Table(
        "driver", *(f"{variant}" for variant in VARIANTS), "replay, wall", "bare, wall", title="µs of CPU a call"
    )
    for driver, one in figures(drivers or DRIVERS).items():
        walls = one["replay"]["wall_us"], one["bare"]["wall_us"]
        table.add_row(
            driver, *(f"{one[variant]['cpu_us']:.0f}" for variant in VARIANTS), *(f"{wall:.0f}" for wall in walls)
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
