"""MySQL's packets, statements and values, without a server."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timetracer_otel import redaction
from timetracer_otel.families.dbapi.place import Place
from timetracer_otel.families.mysql import cells, greeting, literals, matching, rendering, secret_rows, statements, wire
from timetracer_otel.families.mysql.asked import INIT_DB, PROCESS_KILL, QUERY, Asked
from timetracer_otel.families.mysql.course import MORE_RESULTS, Course, Following, Kind, follow
from timetracer_otel.families.mysql.watching import looking_after
from timetracer_otel.families.mysql.wire import Column, Split

_CELLS = st.lists(st.none() | st.binary(max_size=300), min_size=1, max_size=6)
NAME = Column("name", 45, 200, 253, 0, 0, "item")
BINARY = NAME._replace(charset=63)


@given(_CELLS)
def test_rows_are_read_as_they_were_made(values: list[bytes | None]) -> None:
    """A row keeps NULL apart from nothing."""
    assert wire.cells(wire.row(values)) == values


@given(st.integers(0, 400), st.data())
def test_packets_come_whole_however_they_are_cut(size: int, data: st.DataObject) -> None:
    """What arrives in pieces is the same."""
    sent = wire.frame(b"x" * size, 1) + wire.frame(b"", 2) + wire.frame(b"y", 3)
    at = data.draw(st.integers(0, len(sent)))
    split = Split()
    found = split.packets(sent[:at]) + split.packets(sent[at:])
    assert [payload for _, payload in found] == [b"x" * size, b"", b"y"]


def test_a_long_payload_is_several_packets() -> None:
    """One as long as the longest packet ends with an empty one."""
    payload = b"z" * wire.LONGEST
    sent = wire.frame(payload, 255)
    assert sent.endswith(b"\0\0\0\0")
    assert list(wire.packets(sent)) == [(255, payload)]


def answered(*results: list[bytes]) -> bytes:
    """An answer of packets."""
    said = [payload for result in results for payload in result]
    return b"".join(wire.frame(payload, number) for number, payload in enumerate(said, 1))


def rows(*values: list[bytes | None], status: int = 0) -> list[bytes]:
    """The packets of a result with rows."""
    definitions = [wire.column_definition(NAME) for _ in values[0]]
    return [bytes((len(definitions),)), *definitions, wire.eof(0), *map(wire.row, values), wire.eof(status)]


ANSWERS = {
    "done": (answered([wire.ok(2, affected=3, last_id=300)]), [Kind.DONE]),
    "rows": (
        answered(rows([b"a"], [None], [b"\xfe" * 70_000])),
        [Kind.COUNT, Kind.COLUMN, Kind.END, Kind.ROW, Kind.ROW, Kind.ROW, Kind.END],
    ),
    "several": (
        answered([wire.ok(MORE_RESULTS)], rows([b"a"], status=MORE_RESULTS), [wire.ok(0)]),
        [Kind.DONE, Kind.COUNT, Kind.COLUMN, Kind.END, Kind.ROW, Kind.END, Kind.DONE],
    ),
    "error": (answered([b"\xff\x28\x04#42000no"]), [Kind.ERROR]),
    "error in rows": (
        answered([*rows([b"a"])[:-1], b"\xff\x28\x04#42000no"]),
        [Kind.COUNT, Kind.COLUMN, Kind.END, Kind.ROW, Kind.ERROR],
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
@given(data=st.data())
def test_an_answer_ends_where_the_server_ended_it(name: str, data: st.DataObject) -> None:
    """Not a byte before, however it arrives."""
    said, kinds = ANSWERS[name]
    assert [kind for kind, _ in follow(QUERY, wire.packets(said))] == kinds
    following = Following(Course(QUERY))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(said) - 1), max_size=5)))
    for start, end in zip([0, *cuts], [*cuts, len(said) - 1], strict=True):
        following.feed(said[start:end])
        assert not following.course.ended
    following.feed(said[-1:])
    assert following.course.ended


def asked(sql: str, **facts: Any) -> Asked:
    """A statement."""
    return Asked(QUERY, sql.encode("utf-8", "surrogateescape"), **facts)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (asked("SELECT * FROM t WHERE id = 1"), asked("SELECT * FROM t WHERE id = 2")),
        (asked("SELECT * FROM t WHERE id = '1'"), asked("SELECT * FROM t WHERE id = 1")),
        (asked("SELECT * FROM t"), asked("SELECT * FROM u")),
        (asked("SELECT ''"), asked("SELECT NULL")),
        (asked("SELECT (3, 1, 2)"), asked("SELECT (1, 2, 3)")),
        (asked(r"SELECT 'a\'' IN ('y', 'x')"), asked(r"SELECT 'a\'' IN ('x', 'y')")),
        (asked("SELECT 1"), Asked(INIT_DB, b"SELECT 1")),
        (Asked(INIT_DB, b"one"), Asked(INIT_DB, b"two")),
        (
            asked("LOAD DATA LOCAL INFILE 'a' INTO TABLE t", file=b"1"),
            asked("LOAD DATA LOCAL INFILE 'a' INTO TABLE t", file=b"2"),
        ),
        (asked(f"SELECT '{'x' * 300_000}'"), asked(f"SELECT '{'x' * 299_999}y'")),
    ],
)
def test_what_differs_is_not_the_same(one: Asked, other: Asked) -> None:
    """A value, a table, a command, the data of a file, one character of many: each makes another question."""
    assert matching.describe(one) == matching.describe(one)
    assert matching.describe(one) != matching.describe(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (asked("SAVEPOINT `s139_x1`"), asked("SAVEPOINT `s139_x1`")),
        (asked("SAVEPOINT `s140123456789_x1`"), asked("SAVEPOINT `s999123456789_x1`")),
        (asked("SELECT 1 /*traceparent='00-ab-cd-01'*/"), asked("SELECT 1 /*traceparent='00-ef-01-01'*/")),
        (asked("SELECT 1 IN (3, 1, 2)"), asked("SELECT 1 IN (1, 2, 3)")),
        (asked("SELECT a IN ('y', 'x') AND b = 1"), asked("SELECT a IN ('x', 'y') AND b = 1")),
        (asked("KILL 12"), asked("KILL 13")),
        (asked("KILL QUERY 12"), asked("KILL QUERY 13")),
        (Asked(PROCESS_KILL, b"\1\0\0\0"), Asked(PROCESS_KILL, b"\2\0\0\0")),
        (
            asked("LOAD DATA LOCAL INFILE '/tmp/a1/x' INTO TABLE t", file=b"1"),
            asked("LOAD DATA LOCAL INFILE '/tmp/b2/x' INTO TABLE t", file=b"1"),
        ),
    ],
)
def test_made_up_names_do_not_count(one: Asked, other: Asked) -> None:
    """Names that libraries make, comments with the trace, the order of lists, numbers of connections, files' places."""
    assert matching.describe(one) == matching.describe(other)


@pytest.mark.parametrize(
    ("sql", "is_read"),
    [
        ("SELECT a, COUNT(*) FROM t WHERE b IN (1, 2) GROUP BY a", True),
        ("select `a` from `t` where `b` = 'for update; insert into'", True),
        ("SELECT * FROM t WHERE a = 'it''s' AND b = \"x\\\"y\" LIMIT 5", True),
        ("SELECT * FROM t FOR UPDATE", False),
        ("SELECT * FROM t LOCK IN SHARE MODE", False),
        ("SELECT LAST_INSERT_ID()", False),
        ("SELECT @@identity", False),
        ("SELECT @a := 1", False),
        ("SELECT take_money(1)", False),
        ("SELECT NOW()", False),
        ("SELECT GET_LOCK('a', 1)", False),
        ("SELECT 1; DELETE FROM t", False),
        ("SELECT * FROM t INTO OUTFILE '/tmp/x'", False),
        ("SHOW TABLES", True),
        ("SHOW WARNINGS", False),
        ("INSERT INTO t VALUES (1)", False),
        ("WITH x AS (SELECT 1) SELECT * FROM x", True),
    ],
)
def test_reads_are_told_from_writes(sql: str, *, is_read: bool) -> None:
    """What may write, or asks for what the connection did before, is no read: its answer is for nobody else."""
    assert matching.describe(asked(sql)).read is is_read
    assert not matching.describe(asked(sql, place=Place("1", 1, inside=True, wrote=True))).read


@pytest.mark.parametrize(
    ("sql", "settles"),
    [
        ("SELECT @@tx_isolation", True),
        ("select version(), @@sql_mode, @@lower_case_table_names", True),
        ("SHOW VARIABLES LIKE 'sql_mode'", True),
        ("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()", True),
        ("SELECT * FROM orders JOIN information_schema.tables ON true", False),
        ("SELECT @@last_insert_id", False),
        ("SHOW TABLES", False),
        ("SELECT 1", False),
    ],
)
def test_the_server_is_asked_for_itself_by_whoever_needs_it_first(sql: str, *, settles: bool) -> None:
    """Which request asks for a variable first is chance."""
    assert matching.describe(asked(sql)).settles is settles


@pytest.mark.parametrize(
    ("sql", "sets_up"),
    [
        ("SET NAMES utf8mb4", True),
        ("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", True),
        ("SET autocommit=0", True),
        ("SET sql_mode='ANSI', time_zone = '+00:00'", True),
        ("SET GLOBAL max_connections = 1", False),
        ("SET @a = 1", False),
        ("SET PASSWORD = PASSWORD('x')", False),
        ("SET sql_mode='x'; DROP TABLE t", False),
        ("SELECT 1", False),
    ],
)
def test_settings_of_a_connection(sql: str, *, sets_up: bool) -> None:
    """What sets a variable of its connection, and nothing else."""
    assert statements.is_set_up(sql) is sets_up


@pytest.mark.parametrize(
    ("sql", "inside", "looks_after"),
    [
        ("ROLLBACK", False, True),
        (" commit work; ", False, True),
        ("COMMIT", True, False),
        ("ROLLBACK TO SAVEPOINT a", False, False),
        ("COMMIT AND CHAIN", False, False),
    ],
)
def test_the_end_of_no_transaction(sql: str, *, inside: bool, looks_after: bool) -> None:
    """It does nothing: pools and object mappers send it to look after a connection, which says nothing new by that."""
    for sets_up in (True, False):
        goes_on = sets_up and looks_after
        assert looking_after(QUERY, sql, inside=inside, sets_up=sets_up) == (looks_after, goes_on)


@pytest.mark.parametrize(
    ("column", "then", "now"),
    [
        (
            BINARY,
            uuid.UUID(int=7 << 100 | 0xABCDEF << 60 | 0x8123456789).bytes,
            uuid.UUID("9d444840-9dc0-41d1-b245-5ffdce74fad2").bytes,
        ),
        (NAME, b"order 7d444840-9dc0-11d1-b245-5ffdce74fad2", b"order 9d444840-9dc0-11d1-b245-5ffdce74fad2"),
        (NAME._replace(type=12), b"2024-05-06 07:08:09", b"2026-05-06 07:08:09"),
    ],
)
def test_ids_and_times_bind_in_their_own_form(column: Column, then: bytes, now: bytes) -> None:
    """Ids and times, in binary too, are put back in the same form."""
    first, second = cells.values_in(then, column), cells.values_in(now, column)
    if not first:
        assert column is BINARY  # too regular to be random
        return
    assert cells.rebound(then, column, dict(zip(first, second, strict=True))) == now


def test_binary_ids_in_statements_bind() -> None:
    """Sixteen random bytes compare equal without them, as they are escaped and as hexadecimal digits."""
    one, other = (
        uuid.UUID(text).bytes
        for text in ("7d44ff40-9dc0-41d1-b245-5ffdce74fad2", "9d2248a0-9dc7-41d1-8245-5affce73fad1")
    )
    for form in (_escaped, lambda raw: f"X'{raw.hex()}'"):
        first, second = (matching.describe(asked("SELECT 1 = " + form(raw))) for raw in (one, other))
        assert first.shape == second.shape
        assert len(first.values) == 1
        assert first.values != second.values


def _escaped(raw: bytes) -> str:
    return "_binary'" + raw.decode("ascii", "surrogateescape").replace("\\", "\\\\").replace("'", "\\'") + "'"


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO buyer (name, password) VALUES ('ann', 'correct horse 7'), ('bob', 'correct horse 7')",
        "UPDATE buyer SET password = 'correct horse 7', name = 'ann' WHERE id = 5",
        "UPDATE buyer SET `api_key`='correct horse 7' WHERE `name` = 'ann'",
        "CREATE USER ann IDENTIFIED BY 'correct horse 7'",
        "ALTER USER ann IDENTIFIED WITH caching_sha2_password BY 'correct horse 7'",
        "REPLACE INTO `annas`.`users` VALUES (5, 'correct horse 7')",
        "INSERT INTO buyer (name, secret) VALUES ('an\\'n', \"correct horse 7\")",
    ],
)
def test_secrets_are_hidden_by_their_column(sql: str) -> None:
    """What is given to a column called password, or is the password of a user, is no longer there; the rest is."""
    hidden = asked(sql).hidden().sql
    assert "correct horse" not in hidden
    assert "ann" in hidden or "an\\'n" in hidden
    assert "correct horse" not in literals.bare(sql)
    assert redaction.MASK in asked(sql).blanked().sql
    shape = matching.describe(asked(sql).blanked())
    assert shape == matching.describe(asked(sql.replace("horse", "donkey")).blanked())


@pytest.mark.usefixtures("own_key")
def test_secrets_in_rows_are_hidden_and_opened_again() -> None:
    """Of each result of several, by the columns' names; the numbers of packets stay, and what is no row."""
    told = b"".join(_result(names, 1) for names in (["id", "password"], ["id", "session_data"], ["id", "name"]))
    sql = "SELECT * FROM a; SELECT * FROM b; SELECT * FROM c"
    stored = b"".join(secret_rows.hidden(QUERY, sql, [told[:30], told[30:]]))
    assert stored.count(b"correct horse 7") == 1
    assert secret_rows.opened(QUERY, stored) == told


def _result(names: list[str], more: int) -> bytes:
    columns = [
        b"\3def" + b"\0" * 3 + wire.prefixed(name.encode()) * 2 + b"\x0c\x2d\0\xc8\0\0\0\xfd\0\0\0\0\0"
        for name in names
    ]
    end = b"\xfe\0\0" + bytes((MORE_RESULTS * more, 0))
    row = wire.row([b"1", b"correct horse 7"])
    packets = [bytes((len(names),)), *columns, end, row, wire.row([b"2", None]), end]
    return b"".join(wire.frame(one, number) for number, one in enumerate(packets, 1))


def test_a_hidden_secret_is_opened_again() -> None:
    """Where the key is, the statement comes back as it was, quotes and backslashes too."""
    one = asked("INSERT INTO buyer (name, password) VALUES ('ann', 'co\\'rr\\\\ect')")
    again = Asked(QUERY, one.hidden().argument).opened()
    assert (again.secret, again.argument) in {(False, one.argument), (True, one.hidden().argument)}


def test_statements_are_shown_with_their_values_by_column() -> None:
    """Values by column or number; of several rows a list a column; constants as what they are."""
    shown = rendering.shown(asked("INSERT INTO item (name, price, at) VALUES ('a', -1.5, NULL), ('b''s', 2, NOW())"))
    assert shown["sql"] == "INSERT INTO item (name, price, at) VALUES (?, ?, ?), (?, ?, NOW())"
    assert shown["parameters"] == {"name": ["a", "b's"], "price": ["-1.5", 2], "at": None}
    shown = rendering.shown(asked("SELECT * FROM t1 WHERE a = 'x' AND b > -5 LIMIT 3"))
    assert shown["sql"] == "SELECT * FROM t1 WHERE a = ? AND b > ? LIMIT ?"
    assert shown["parameters"] == {"a": "x", "b": -5, "3": 3}


def test_a_greeting_says_what_was_recorded() -> None:
    """Version, number and flags come back, but those that would change the form of answers."""
    known = greeting.facts("10.11.2-MariaDB", 42, 0xFFFFFFFF, 45, 2)
    [(number, payload)] = wire.packets(greeting.made(known))
    read = greeting.facts_in(payload)
    assert number == 0
    assert (read["version"], read["thread"], read["charset"], read["status"]) == ("10.11.2-MariaDB", 42, 45, 2)
    assert not read["capabilities"] & (0x20 | 0x1000000)
    assert read["capabilities"] & greeting.SSL


def test_a_connection_stands_for_the_next_recorded_one() -> None:
    """In the order in which the server had numbered them; those beyond have numbers of their own."""
    texts = [f'{{"peer": "h:1/d", "thread": {thread}}}' for thread in (9, 7, 8)]
    known = greeting.Known(texts)
    assert [known.next()["thread"] for _ in range(5)] == [7, 8, 9, 10, 11]


def test_ids_in_escaped_json_bind() -> None:
    """What a driver has escaped holds them too."""
    escaped = 'INSERT INTO t (doc) VALUES (\'{\\"id\\": \\"CODE\\"}\')'
    first, second = (
        matching.describe(asked(escaped.replace("CODE", code)))
        for code in ("7d444840-9dc0-11d1-b245-5ffdce74fad2", "9d444840-9dc0-11d1-b245-5ffdce74fad2")
    )
    assert first.shape == second.shape
