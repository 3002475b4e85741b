"""What programs do with mysqlclient: each scenario is given an address and returns all that it saw."""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import MySQLdb
from MySQLdb.cursors import Cursor, DictCursor, SSCursor, SSDictCursor

from tests.mysql.values import TYPES

__all__ = ["SCENARIOS", "Scenario"]

Scenario = Callable[[dict[str, Any]], Any]
SCENARIOS: Final[dict[str, Scenario]] = {}


def scenario(function: Scenario) -> Scenario:
    """Let a function be one of the scenarios."""
    SCENARIOS[function.__name__] = function
    return function


def outcome(asked: Callable[[], Any]) -> Any:
    """Give what a call returns; of an exception its class and arguments."""
    try:
        return asked()
    except Exception as error:  # noqa: BLE001 - which one it is, is what is looked at
        return type(error), error.args


@contextmanager
def connected(address: dict[str, Any], **options: Any) -> Iterator[Any]:
    """Connect, with a table of items."""
    connection = MySQLdb.connect(**{**address, **options})
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS item")
    cursor.execute(
        "CREATE TABLE item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) UNIQUE, price DECIMAL(10,2),"
        " at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6), code BINARY(16))"
    )
    cursor.close()
    try:
        yield connection
    finally:
        connection.close()


@scenario
def every_type(address: dict[str, Any]) -> Any:
    """Values of each type, their limits and NULL."""
    seen: list[Any] = []
    connection = MySQLdb.connect(**address, sql_mode="", charset="utf8mb4", autocommit=True)
    for kind, values in TYPES:
        cursor = connection.cursor()
        cursor.execute(f"CREATE OR REPLACE TEMPORARY TABLE kind (n INT AUTO_INCREMENT PRIMARY KEY, v {kind})")
        seen += [cursor.execute("INSERT INTO kind (v) VALUES (%s)", (value,)) for value in [*values, None]]
        cursor.execute("SELECT * FROM kind ORDER BY n")
        seen.append((kind, cursor.description, cursor.description_flags, cursor.rowcount, cursor.fetchall()))
    connection.close()
    return seen


@scenario
def cursors(address: dict[str, Any]) -> Any:
    """Every kind of cursor, read in every way, closed early."""
    seen: list[Any] = []
    with connected(address) as connection:
        cursor = connection.cursor()
        seen.append(
            cursor.executemany("INSERT INTO item (name, price) VALUES (%s, %s)", [(f"i{n}", n) for n in range(5000)])
        )
        seen.append((cursor.lastrowid, cursor.rowcount))
        for kind in (Cursor, DictCursor, SSCursor, SSDictCursor):
            cursor = connection.cursor(kind)
            seen.append(cursor.execute("SELECT id, name, price, at FROM item WHERE id > %s ORDER BY id", (3,)))
            seen += [cursor.fetchone(), cursor.fetchmany(2), cursor.rownumber, cursor.fetchall(), cursor.fetchone()]
            cursor.execute("SELECT id FROM item ORDER BY id")
            seen.append(cursor.fetchone())
            cursor.close()
    return seen


@scenario
def transactions(address: dict[str, Any]) -> Any:
    """Commits, rollbacks, savepoints, autocommit, errors, warnings, what a connection says of itself."""
    seen: list[Any] = []
    with connected(address) as connection:
        cursor = connection.cursor()
        seen.append(connection.get_autocommit())
        cursor.execute("INSERT INTO item (name) VALUES ('one')")
        cursor.execute("SAVEPOINT one")
        cursor.execute("INSERT INTO item (name) VALUES ('two')")
        cursor.execute("ROLLBACK TO SAVEPOINT one")
        connection.commit()
        cursor.execute("INSERT INTO item (name) VALUES ('three')")
        connection.rollback()
        cursor.execute("SELECT name FROM item")
        seen.append(cursor.fetchall())
        connection.autocommit(True)  # noqa: FBT003 - the signature of a driver
        seen.append(connection.get_autocommit())
        wrong = ("INSERT INTO item (name) VALUES ('one')", "SELEKT", "SELECT * FROM nowhere")
        seen += [outcome(partial(cursor.execute, sql)) for sql in wrong]
        cursor.execute("DROP TABLE IF EXISTS nowhere")
        seen += [cursor.warning_count, connection.show_warnings()]
        connection.select_db("other")
        cursor.execute("SELECT DATABASE()")
        seen += [cursor.fetchall(), connection.get_server_info(), connection.character_set_name(), connection.info()]
        seen += [outcome(lambda: connection.select_db("nowhere")), connection.ping()]
    return seen


@scenario
def several_results(address: dict[str, Any]) -> Any:
    """Several statements at once, a procedure, a file of the client."""
    seen: list[Any] = []
    with connected(address, local_infile=1) as connection:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO item (name) VALUES ('a'); SELECT id, name FROM item; SELECT 2")
        while True:
            seen += [cursor.rowcount, cursor.description, cursor.description and cursor.fetchall()]
            if not cursor.nextset():
                break
        cursor.execute("DROP PROCEDURE IF EXISTS twice")
        cursor.execute("CREATE PROCEDURE twice(IN n INT, OUT o INT) BEGIN SELECT n; SET o = n * 2; END")
        seen.append(cursor.callproc("twice", (2, None)))
        seen.append(cursor.fetchall())
        while cursor.nextset():
            pass
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "items")
            file.write_text("".join(f"{n}\tname {n}\t1\n" for n in range(10, 3000)), encoding="utf-8")
            cursor.execute(f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE item (id, name, price)")
            seen.append(cursor.rowcount)
    return seen


@scenario
def lost(address: dict[str, Any]) -> Any:
    """Connections that are refused, killed, timed out."""
    seen = [
        outcome(lambda: MySQLdb.connect(**{**address, "host": "127.0.0.1", "port": 1})),
        outcome(lambda: MySQLdb.connect(**{**address, "password": "wrong"})),
        outcome(lambda: MySQLdb.connect(**{**address, "database": "nowhere"})),
    ]
    with connected(address) as connection, connected(address, database="other") as other:
        other.kill(connection.thread_id())
        seen.append(outcome(lambda: connection.cursor().execute("SELECT 1"))[0])
    with connected(address, read_timeout=1) as connection:
        seen.append(outcome(lambda: connection.cursor().execute("SELECT SLEEP(30)"))[0])
    return seen


@scenario
def large_values(address: dict[str, Any]) -> Any:
    """Values of 20 MB both ways."""
    with connected(address) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TEMPORARY TABLE large (v LONGBLOB, t LONGTEXT)")
        seen: list[Any] = [
            cursor.execute("INSERT INTO large VALUES (%s, %s)", (b"\x00\xff" * 4_000_000, "xy" * 10_000_000))
        ]
        cursor.execute("SELECT v, t FROM large")
        [(value, text)] = cursor.fetchall()
        return [*seen, value == b"\x00\xff" * 4_000_000, text == "xy" * 10_000_000]


@scenario
def made_anew(address: dict[str, Any]) -> Any:
    """Ids that a program makes in each run come back as those of this run."""
    with connected(address, autocommit=True) as connection:
        cursor = connection.cursor()
        name, code = str(uuid.uuid4()), uuid.uuid4().bytes
        cursor.execute("INSERT INTO item (name, code) VALUES (%s, %s)", (name, code))
        cursor.execute("SELECT name, code FROM item WHERE id = %s", (cursor.lastrowid,))
        seen = [cursor.fetchall() == ((name, code),)]
        cursor.execute("SELECT UUID(), NOW(6)")
        return [*seen, cursor.fetchall()]


@scenario
def threads(address: dict[str, Any]) -> Any:
    """Connections of threads, each with its own."""
    seen: dict[int, Any] = {}
    with connected(address) as connection:
        connection.commit()

        def work(number: int) -> None:
            own = MySQLdb.connect(**address)
            cursor = own.cursor()
            cursor.execute("INSERT INTO item (name) VALUES (%s)", (f"t{number}",))
            own.commit()
            cursor.execute("SELECT id, name FROM item WHERE name = %s", (f"t{number}",))
            seen[number] = cursor.fetchall()
            own.close()

        every = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for one in every:
            one.start()
        for one in every:
            one.join(60)
    return sorted(seen.items())
