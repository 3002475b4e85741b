"""What programs do with PyMySQL: each scenario is given an address and returns all that it saw."""

from __future__ import annotations

import datetime as dt
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor, DictCursor, SSCursor, SSDictCursor

from tests.mysql.values import TYPES

__all__ = ["SCENARIOS", "Scenario"]

Scenario = Callable[[dict[str, Any]], Any]
SCENARIOS: Final[dict[str, Scenario]] = {}


def scenario(function: Scenario) -> Scenario:
    """Let a function be one of the scenarios."""
    SCENARIOS[function.__name__] = function
    return function


def outcome(asked: Callable[[], Any]) -> Any:
    """Give what a call returns; of an exception its class, arguments and what caused it."""
    try:
        return asked()
    except Exception as error:  # noqa: BLE001 - which one it is, is what is looked at
        return type(error), error.args, type(error.__context__), str(error)


@contextmanager
def connected(address: dict[str, Any], **options: Any) -> Iterator[Any]:
    """Connect, with a table of items."""
    connection = pymysql.connect(**{**address, **options})
    try:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS item")
            cursor.execute(
                "CREATE TABLE item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) UNIQUE, price DECIMAL(10,2),"
                " at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6), code BINARY(16))"
            )
        yield connection
    finally:
        if connection.open:
            connection.close()


def said(cursor: Any) -> list[Any]:
    """Give what a cursor says of the statement it has executed."""
    return [cursor.rowcount, cursor.lastrowid, cursor.description]


@scenario
def every_type(address: dict[str, Any]) -> Any:
    """Values of each type, their limits and NULL, as literals and from tables."""
    seen: list[Any] = []
    with pymysql.connect(**address, sql_mode="", autocommit=True) as connection:
        for kind, values in TYPES:
            cursor = connection.cursor()
            cursor.execute(f"CREATE OR REPLACE TEMPORARY TABLE kind (n INT AUTO_INCREMENT PRIMARY KEY, v {kind})")
            seen += [cursor.execute("INSERT INTO kind (v) VALUES (%s)", (value,)) for value in [*values, None]]
            cursor.execute("SELECT * FROM kind ORDER BY n")
            seen.append((kind, said(cursor), cursor.fetchall()))
            for value in values:
                if kind not in {"FLOAT", "JSON"}:
                    cursor.execute("SELECT n FROM kind WHERE v = %s", (value,))
                    seen.append(cursor.fetchall())
    return seen


@scenario
def cursors(address: dict[str, Any]) -> Any:
    """Every kind of cursor, read in every way."""
    seen: list[Any] = []
    with connected(address) as connection:
        with connection.cursor() as cursor:
            seen.append(
                cursor.executemany("INSERT INTO item (name, price) VALUES (%s, %s)", [(f"i{n}", n) for n in range(30)])
            )
            seen.append(said(cursor))
            seen.append(cursor.mogrify("SELECT %s, %s", ("a'b", None)))
        for kind in (Cursor, DictCursor, SSCursor, SSDictCursor):
            with connection.cursor(kind) as cursor:
                seen.append(
                    cursor.execute("SELECT id, name, price FROM item WHERE id > %(least)s ORDER BY id", {"least": 3})
                )
                seen.append(cursor.description)
                seen.append((cursor.fetchone(), cursor.fetchmany(2), cursor.rownumber))
                if kind in {Cursor, DictCursor}:
                    cursor.scroll(1)
                seen.append(cursor.fetchone())
                seen.append(list(cursor.fetchall()))
                seen.append(cursor.fetchone())
                cursor.execute("SELECT id FROM item ORDER BY id LIMIT 3")
                seen.append(list(cursor))
    return seen


@scenario
def closed_early(address: dict[str, Any]) -> Any:
    """Cursors that are not read to their end: closed, in the way of another statement, their connection closed."""
    seen: list[Any] = []
    with connected(address) as connection:
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO item (name) VALUES (%s)", [(f"{n}" * 8,) for n in range(3000)])
        connection.commit()
        cursor = connection.cursor(SSCursor)
        cursor.execute("SELECT * FROM item ORDER BY id")
        seen.append(cursor.fetchone())
        cursor.close()
        cursor = connection.cursor(SSDictCursor)
        cursor.execute("SELECT id FROM item ORDER BY id")
        seen.append(cursor.fetchmany(5))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            with connection.cursor() as other:
                other.execute("SELECT 1")
                seen.append(other.fetchall())
        seen.append([str(one.message) for one in told])
        cursor = connection.cursor(SSCursor)
        cursor.execute("SELECT name FROM item ORDER BY id")
        seen.append(cursor.fetchone())
        connection.close()
        cursor._result.unbuffered_active = False  # else the driver fails over it when it is collected
        cursor.connection = None
    return seen


@scenario
def transactions(address: dict[str, Any]) -> Any:
    """Commits, rollbacks, savepoints, autocommit, isolation, what a connection says of itself."""
    seen: list[Any] = []
    with connected(address) as connection, connected(address, autocommit=True, database="other") as other:
        cursor = connection.cursor()
        seen.append((connection.get_autocommit(), other.get_autocommit()))
        connection.begin()
        cursor.execute("INSERT INTO item (name) VALUES ('one')")
        cursor.execute("SAVEPOINT one")
        cursor.execute("INSERT INTO item (name) VALUES ('two')")
        cursor.execute("SELECT COUNT(*) FROM item")
        seen.append(cursor.fetchall())
        cursor.execute("ROLLBACK TO SAVEPOINT one")
        cursor.execute("SELECT COUNT(*) FROM item")
        seen.append(cursor.fetchall())
        connection.rollback()
        cursor.execute("SELECT COUNT(*) FROM item")
        seen.append(cursor.fetchall())
        connection.autocommit(True)  # noqa: FBT003 - the signature of a driver
        seen.append(connection.get_autocommit())
        cursor.execute("INSERT INTO item (name) VALUES ('three')")
        seen.append((cursor.lastrowid, connection.insert_id(), connection.affected_rows()))
        connection.autocommit(False)  # noqa: FBT003 - likewise
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        cursor.execute("SELECT @@tx_isolation, @@autocommit, DATABASE()")
        seen.append(cursor.fetchall())
        connection.select_db("other")
        cursor.execute("SELECT DATABASE()")
        seen.append(cursor.fetchall())
        cursor.execute("SELECT CONNECTION_ID()")
        seen.append(cursor.fetchall()[0][0] == connection.thread_id())
        seen += [connection.character_set_name(), connection.get_proto_info(), connection.get_server_info()]
        seen.append(connection.escape("it's"))
        connection.commit()
    return seen


@scenario
def errors(address: dict[str, Any]) -> Any:
    """Errors of the server, each with its class, number and text; the connection goes on."""
    with connected(address) as connection:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO item (name) VALUES ('one')")
        asked: list[tuple[str, Any]] = [
            ("INSERT INTO item (name) VALUES (%s)", ("one",)),
            ("SELEKT 1", None),
            ("SELECT * FROM nowhere", None),
            ("SELECT nonsense FROM item", None),
            ("INSERT INTO item (price) VALUES (%s)", ("x" * 20,)),
            ("INSERT INTO item (name) VALUES (%s)", ("y" * 300,)),
            ("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'größe', MYSQL_ERRNO = 1644", None),
            ("DROP TABLE nowhere", None),
            ("USE nowhere", None),
            ("SELECT %s, %s", (1,)),
        ]
        seen = [outcome(partial(cursor.execute, sql, args)) for sql, args in asked]
        seen.append(outcome(lambda: connection.select_db("nowhere")))
        seen.append(outcome(lambda: cursor.execute("SELECT 1/0")))
        seen.append(cursor.fetchall())
        cursor.execute("DROP TABLE IF EXISTS nowhere")
        seen.append(connection.show_warnings())
        cursor.execute("SELECT CAST('12abc' AS SIGNED)")
        cursor.execute("SHOW WARNINGS")
        seen.append(cursor.fetchall())
    return seen


@scenario
def not_connected(address: dict[str, Any]) -> Any:
    """Connections that are refused: by nobody, for a password, for a database; and one that is fine after all."""
    seen = [
        outcome(lambda: pymysql.connect(**{**address, "host": "127.0.0.1", "port": 1})),
        outcome(lambda: pymysql.connect(**{**address, "password": "wrong"})),
        outcome(lambda: pymysql.connect(**{**address, "database": "nowhere"})),
        outcome(lambda: pymysql.connect(**address, init_command="SELEKT 1")),
    ]
    with connected(address) as connection:
        connection.ping()
        connection.close()
        seen.append(outcome(connection.ping))
        seen.append(outcome(connection.commit))
        seen.append(outcome(connection.close))
    return seen


@scenario
def lost(address: dict[str, Any]) -> Any:
    """Connections that end: killed, timed out, reconnected."""
    seen: list[Any] = []
    with connected(address) as connection, connected(address, database="other") as other:
        seen.append(type(outcome(lambda: other.kill(connection.thread_id()))) is not tuple)
        seen.append(outcome(lambda: connection.cursor().execute("SELECT 1")))
        seen.append(connection.open)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seen.append(outcome(lambda: connection.ping(reconnect=True)))
        cursor = connection.cursor()
        seen.append(cursor.execute("SELECT 2"))
        other.kill(connection.thread_id())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seen.append(outcome(lambda: connection.ping(reconnect=True)))
        seen.append(cursor.execute("SELECT 3"))
        other.kill(connection.thread_id())
        seen.append(outcome(lambda: connection.ping(reconnect=False)))
    with connected(address, read_timeout=1) as connection:
        seen.append(outcome(lambda: connection.cursor().execute("SELECT SLEEP(30)")))
        seen.append(outcome(lambda: connection.cursor().execute("SELECT 1")))
    return seen


@scenario
def gone(address: dict[str, Any]) -> Any:
    """A connection that the server has closed while nothing was asked, so that the next statement cannot be sent."""
    with connected(address) as connection:
        connection.cursor().execute("SET SESSION wait_timeout = 1")
        time.sleep(2)
        return [outcome(lambda: connection.cursor().execute("SELECT 1")), connection.open]


@scenario
def several_results(address: dict[str, Any]) -> Any:
    """Several statements at once, procedures, what is left unread."""
    seen: list[Any] = []
    with connected(address, client_flag=CLIENT.MULTI_STATEMENTS) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "INSERT INTO item (name) VALUES ('a'); SELECT id, name FROM item; UPDATE item SET price = 3; SELECT 2"
        )
        while True:
            seen += [said(cursor), cursor.fetchall()]
            if not cursor.nextset():
                break
        seen.append(outcome(lambda: cursor.execute("SELECT 1; SELECT * FROM nowhere; SELECT 3")))
        seen.append(cursor.fetchall())
        seen.append(outcome(cursor.nextset))
        cursor.execute("DROP PROCEDURE IF EXISTS twice")
        cursor.execute(
            "CREATE PROCEDURE twice(IN n INT, INOUT m INT, OUT o VARCHAR(9))"
            " BEGIN SELECT n; SET m = m + n; SET o = 'out'; SELECT m, o; END"
        )
        seen.append(cursor.callproc("twice", (2, 3, None)))
        seen.append(cursor.fetchall())
        seen.append((cursor.nextset(), cursor.fetchall(), cursor.nextset()))
        cursor.execute("SELECT @_twice_0, @_twice_1, @_twice_2")
        seen.append(cursor.fetchall())
        cursor.execute("SELECT 1; SELECT 2; SELECT 3")
        cursor.close()
        cursor = connection.cursor(SSCursor)
        cursor.execute("SELECT 4; SELECT 5")
        seen.append((cursor.fetchall(), cursor.nextset(), cursor.fetchall(), cursor.nextset()))
    return seen


@scenario
def files(address: dict[str, Any]) -> Any:
    """Files of the client that the server loads; one that is not there."""
    with tempfile.TemporaryDirectory() as folder, connected(address, local_infile=True) as connection:
        file = Path(folder, "items.tsv")
        file.write_text("".join(f"{n}\tname {n}\t{n}.5\n" for n in range(1, 3000)), encoding="utf-8")
        cursor = connection.cursor()
        load = "LOAD DATA LOCAL INFILE %s INTO TABLE item FIELDS TERMINATED BY '\\t' (id, name, price)"
        seen = [cursor.execute(load, (str(file),)), said(cursor)]
        cursor.execute("SELECT COUNT(*), SUM(price) FROM item")
        seen.append(cursor.fetchall())
        wrong = outcome(lambda: cursor.execute(load, (str(file) + ".not",)))
        seen.append((wrong[0], wrong[1][0]))
        seen.append(cursor.execute("SELECT 1"))
        seen.append(outcome(lambda: cursor.execute(load.replace("item ", "nowhere "), (str(file),))))
        seen.append(cursor.execute("SELECT 1"))
    return seen


@scenario
def many_rows(address: dict[str, Any]) -> Any:
    """Five thousand rows, read at once and row by row."""
    with connected(address) as connection:
        cursor = connection.cursor()
        seen: list[Any] = [
            cursor.executemany(
                "INSERT INTO item (name, price) VALUES (%s, %s)", [(f"name {n}", n / 4) for n in range(5000)]
            )
        ]
        cursor.execute("SELECT * FROM item ORDER BY id")
        seen.append(cursor.fetchall())
        with connection.cursor(SSDictCursor) as rows:
            rows.execute("SELECT id, name, price FROM item ORDER BY id")
            seen.append(list(rows))
    return seen


@scenario
def large_values(address: dict[str, Any]) -> Any:
    """Values of 20 MB both ways, longer than a packet; one that the server does not take."""
    with connected(address, max_allowed_packet=64 << 20) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TEMPORARY TABLE large (v LONGBLOB, t LONGTEXT)")
        seen: list[Any] = [cursor.execute("INSERT INTO large (t) VALUES (%s)", ("xy" * 10_000_000,))]
        cursor.execute("SELECT v, t, LENGTH(t) FROM large")
        row = cursor.fetchone()
        seen.append((row[0], len(row[1]), hash(row[1][:50]) == hash("xy" * 25), row[2]))
        seen.append(cursor.execute("SELECT REPEAT('z', %s)", (2**24 - 1 - 4,)))
        seen.append([len(one) for one in cursor.fetchall()[0]])
        seen.append(cursor.execute("UPDATE large SET v = %s", (b"\x00\xff" * 9_000_000,)))
        cursor.execute("SELECT v FROM large")
        seen.append(cursor.fetchone()[0] == b"\x00\xff" * 9_000_000)
    return seen


@scenario
def charsets(address: dict[str, Any]) -> Any:
    """Other character sets of the connection, settings that it begins with, converters of the app's own."""
    seen: list[Any] = []
    for charset in ("latin1", "utf8mb4", "gbk"):
        with pymysql.connect(**address, charset=charset, init_command="SET @greeting = 'hello'") as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT %s, @greeting, @@character_set_client", ("漢" if charset == "gbk" else "ü",))
            seen.append((cursor.fetchall(), connection.charset, connection.encoding))
    conv = {**pymysql.converters.conversions, 246: float, uuid.UUID: lambda value, *_: f"'{value}'"}
    with connected(address, conv=conv, use_unicode=False, sql_mode="ANSI") as connection:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO item (name, price) VALUES (%s, 1.25)", (uuid.UUID(int=7),))
        cursor.execute("SELECT name, price FROM item")
        seen.append(cursor.fetchall())
        cursor.execute("SELECT @@sql_mode")
        seen.append(cursor.fetchall())
    with pymysql.connect(**address) as connection:
        cursor = connection.cursor()
        cursor.execute("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'")
        cursor.execute("SELECT %s", ("it's \\ here",))
        seen += [connection.escape("it's"), cursor.fetchall()]
    return seen


@scenario
def made_anew(address: dict[str, Any]) -> Any:
    """Ids, tokens and times that a program makes in each run come back as those of this run."""
    with connected(address, autocommit=True) as connection:
        cursor = connection.cursor()
        name, code = str(uuid.uuid4()), uuid.uuid4().bytes
        at = dt.datetime.now()  # noqa: DTZ005 - a time of a type that has no zone
        cursor.execute("INSERT INTO item (name, code, at) VALUES (%s, %s, %s)", (name, code, at))
        made = cursor.lastrowid
        cursor.execute("SELECT name, code, at FROM item WHERE id = %s AND name = %s", (made, name))
        row = cursor.fetchone()
        cursor.execute("SELECT UUID(), NOW(6), RAND()")
        return made, row == (name, code, at), cursor.rowcount, cursor.fetchall()


@scenario
def settings(address: dict[str, Any]) -> Any:
    """The same setting, as the first thing on one connection and later on another one; and one that is refused."""
    setting = "SET SESSION lock_wait_timeout = 7"
    with connected(address) as used, pymysql.connect(**address) as fresh, pymysql.connect(**address) as other:
        seen = [fresh.cursor().execute(setting), used.cursor().execute(setting)]
        seen.append(outcome(lambda: other.cursor().execute("SET SESSION nonsense = 1")))
        cursor = used.cursor()
        cursor.execute("SELECT @@lock_wait_timeout")
        return [*seen, cursor.fetchall()]


@scenario
def threads(address: dict[str, Any]) -> Any:
    """Connections of threads, each with its own."""
    seen: dict[int, Any] = {}
    with connected(address) as connection:
        connection.commit()

        def work(number: int) -> None:
            with pymysql.connect(**address) as own, own.cursor() as cursor:
                cursor.execute("INSERT INTO item (name) VALUES (%s)", (f"t{number}",))
                own.commit()
                cursor.execute("SELECT id, name FROM item WHERE name = %s", (f"t{number}",))
                seen[number] = cursor.fetchall()

        every = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for one in every:
            one.start()
        for one in every:
            one.join(60)
    return sorted(seen.items())
