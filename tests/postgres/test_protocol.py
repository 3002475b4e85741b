"""PostgreSQL's messages, statements and values, without a server."""

from __future__ import annotations

import datetime as dt
import struct
import uuid
from typing import Any

import pytest
from asyncpg.introspection import INTRO_LOOKUP_TYPES
from hypothesis import given
from hypothesis import strategies as st

from timetracer_otel import redaction
from timetracer_otel.families.postgres import cells, matching, statements, wire
from timetracer_otel.families.postgres.asked import Asked, Place
from timetracer_otel.families.postgres.wire import Bound, Split
from timetracer_otel.seams.values import Blanker

_CELLS = st.lists(st.none() | st.binary(max_size=20), max_size=6)
_NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10)
GONE = "DELETE FROM t WHERE id IN ('%032x'::uuid, '%032x'::uuid)"


@given(_CELLS, st.data())
def test_rows_are_read_as_they_were_made(row: list[bytes | None], data: st.DataObject) -> None:
    """A DataRow keeps NULL apart from nothing; messages come whole however they are cut."""
    sent = wire.row(row) + wire.command_complete("SELECT 1") + wire.ready(b"I")
    at = data.draw(st.integers(0, len(sent)))
    split = Split()
    found = split.messages(sent[:at]) + split.messages(sent[at:])
    assert [kind for kind, _ in found] == [b"D", b"C", b"Z"]
    assert wire.cells(found[0][1]) == row
    assert wire.notable(sent) == [(b"Z", b"I")]
    assert wire.notable(sent[:-1]) is None


@given(st.integers(1, 40), st.lists(st.none() | st.binary(max_size=20), max_size=90))
def test_rows_are_made_together_as_one_by_one(columns: int, values: list[bytes | None]) -> None:
    """A result is framed at once to the same bytes; a replay takes its rows together, and the messages around apart."""
    values = values[: len(values) // columns * columns]
    one_by_one = b"".join(wire.row(values[at : at + columns]) for at in range(0, len(values), columns))
    assert wire.rows(values, columns) == one_by_one
    begins, ends = wire.frame(b"T", b"columns"), wire.command_complete("SELECT") + wire.ready(b"I")
    found = wire.framed(begins + one_by_one + ends)
    assert b"".join(framed for _, framed in found) == begins + one_by_one + ends
    assert [kind for kind, _ in found] == [b"T", *([b"D"] if values else []), b"C", b"Z"]


@given(_NAMES, _CELLS, st.integers(0, 1))
def test_questions_are_read_as_they_were_asked(sql: str, parameters: list[bytes | None], form: int) -> None:
    """What is asked comes back from the client's messages that stand for it."""
    one = Bound("", "", (form,) * len(parameters), parameters, (1,))
    for asked in (
        Asked("query", sql),
        Asked("query", sql, copied=b"1\t2\n", done=True),
        Asked("query", sql, copied=b"1\t2\n", refused="why"),
        Asked("prepare", sql, (23, 25)),
        Asked("bind", sql, sets=[one]),
        Asked("execute", sql, (23,), [one, one]),
        Asked("fetch", sql, sets=[one], limit=7),
    ):
        assert Asked.of(wire.messages(asked.messages())) == asked


def asked(sql: str, *parameters: bytes, **facts: Any) -> Asked:
    """A statement with parameters in text."""
    return Asked("execute", sql, sets=[Bound("", "", (0,) * len(parameters), list(parameters), (0,))], **facts)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (asked("SELECT * FROM t WHERE id = $1", b"1"), asked("SELECT * FROM t WHERE id = $1", b"2")),
        (asked("SELECT * FROM t WHERE id = $1", b"1"), asked("SELECT * FROM u WHERE id = $1", b"1")),
        (asked("SELECT $1", b""), asked("SELECT $1")),
        (asked("SELECT $1", b"1"), asked("SELECT $1", b"1", types=(25,))),
        (Asked("execute", "SELECT 1", sets=[Bound("", "", (), [], (1,))]), Asked("query", "SELECT 1")),
        (asked("SELECT 1"), asked("SELECT 1", limit=1)),
        (
            Asked("query", "COPY t FROM STDIN", copied=b"1", done=True),
            Asked("query", "COPY t FROM STDIN", copied=b"2", done=True),
        ),
    ],
)
def test_what_differs_is_not_the_same(one: Asked, other: Asked) -> None:
    """A parameter, a table, a type, a limit, the data of a COPY: each makes another question."""
    assert matching.describe(one) == matching.describe(one)
    assert matching.describe(one) != matching.describe(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SAVEPOINT __asyncpg_savepoint_1f__", "SAVEPOINT __asyncpg_savepoint_2__"),
        ('SAVEPOINT "_pg3_1"', 'SAVEPOINT "_pg3_a"'),
        ('DECLARE "c_7f0012ab_1" CURSOR FOR SELECT 1', 'DECLARE "c_7fff12ab_9" CURSOR FOR SELECT 1'),
        ('FETCH 5 FROM "_django_curs_140_sync_1"', 'FETCH 5 FROM "_django_curs_999_1404_7"'),
        ('SAVEPOINT "s140227_x1"', 'SAVEPOINT "s140999_x5"'),
        ('ROLLBACK TO SAVEPOINT "s140227_x1"', 'ROLLBACK TO SAVEPOINT "s140999_x5"'),
        ("SELECT 1 /*traceparent='00-ab-cd-01'*/", "SELECT 1 /*traceparent='00-ef-01-01'*/"),
    ],
)
def test_made_up_names_do_not_count(one: str, other: str) -> None:
    """Names of savepoints and cursors that libraries make, and comments with the trace."""
    assert matching.describe(Asked("query", one)) == matching.describe(Asked("query", other))


def test_a_warm_connection_asks_the_same() -> None:
    """What psycopg asks without parameters it prepares after a while."""
    sql = "INSERT INTO item DEFAULT VALUES RETURNING id"
    assert matching.describe(asked(sql)) == matching.describe(Asked("query", sql))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (
            asked("SELECT 1 FROM t WHERE a IN ('x', 'y', 'z')"),
            asked("SELECT 1 FROM t WHERE a IN ('z', 'x', 'y')"),
            True,
        ),
        (
            asked("SELECT 1 FROM t WHERE a IN ($1, $2)", b"x", b"y"),
            asked("SELECT 1 FROM t WHERE a IN ($1, $2)", b"y", b"x"),
            True,
        ),
        (asked("SELECT 1 FROM t WHERE a IN (1, 2)"), asked("SELECT 1 FROM t WHERE a IN (1, 3)"), False),
        (
            asked("SELECT 1 FROM t WHERE a IN ($1, $2)", b"x", b"y"),
            asked("SELECT 1 FROM t WHERE a IN ($1, $2)", b"x", b"x"),
            False,
        ),
        (
            asked("SELECT 1 FROM t WHERE a = $1 AND b = $2", b"x", b"y"),
            asked("SELECT 1 FROM t WHERE a = $1 AND b = $2", b"y", b"x"),
            False,
        ),
        (
            asked(GONE % (1 << 100, 2 << 100)),
            asked(GONE % (2 << 100, 1 << 100)),
            True,
        ),
        (
            asked(GONE % (1 << 100, 2 << 100)),
            asked(GONE % (1 << 100, 3 << 100)),
            False,
        ),
        (Asked("query", 'TRUNCATE "a", "b";'), Asked("query", 'TRUNCATE "b", "a";'), True),
        (Asked("query", 'TRUNCATE "a", "b";'), Asked("query", 'TRUNCATE "a", "c";'), False),
        (asked("INSERT INTO t VALUES ('IN (1, 2)')"), asked("INSERT INTO t VALUES ('IN (2, 1)')"), False),
    ],
)
def test_the_order_of_a_list_does_not_count(one: Asked, other: Asked, *, same: bool) -> None:
    """Behind IN and of tables to empty, nowhere else: a set has another order in each process. Ids too."""
    assert (matching.describe(one) == matching.describe(other)) is same


@pytest.mark.parametrize(
    ("sql", "is_read"),
    [
        ("SELECT a, count(*) FROM t WHERE b IN ($1) GROUP BY a", True),
        ("WITH x AS (SELECT 1) SELECT * FROM x", True),
        ("SELECT * FROM t FOR UPDATE", False),
        ("SELECT nextval('s')", False),
        ("SELECT take_money($1)", False),
        ("WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone", False),
        ("SELECT * INTO other FROM t", False),
        ("INSERT INTO t VALUES (1)", False),
        ("SELECT 'delete from t'", True),
        ("SHOW transaction_isolation", True),
    ],
)
def test_reads_are_told_from_writes(sql: str, *, is_read: bool) -> None:
    """What may write, or calls a function that may, is no read: its answer is for nobody else."""
    assert matching.describe(asked(sql)).read is is_read
    wrote = asked(sql, place=Place("1", 1, inside=True, wrote=True))
    assert not matching.describe(wrote).read or sql.startswith("SHOW")


@pytest.mark.parametrize(
    ("sql", "settles"),
    [
        ("SELECT t.oid FROM pg_catalog.pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace", True),
        ("select pg_catalog.version()", True),
        (INTRO_LOOKUP_TYPES, True),
        ("SELECT own(oid) FROM pg_class", False),
        ("SELECT * FROM pg_class, orders", False),
        ("SELECT * FROM orders JOIN pg_type ON true", False),
        ("SELECT 1", True),
        ("SELECT set_config('TimeZone', 'UTC', false)", True),
        ("SELECT set_config('TimeZone', $1, false)", True),
        ("SELECT set_config('app.user', '7', true)", False),
        ("SELECT 2", False),
    ],
)
def test_catalogs_are_read_by_whoever_needs_them_first(sql: str, *, settles: bool) -> None:
    """Which request asks for a type first is chance."""
    assert matching.describe(asked(sql)).settles is settles


@pytest.mark.parametrize(
    ("kind", "then", "now"),
    [
        (2950, uuid.UUID(int=7 << 100).bytes, uuid.UUID(int=9 << 100).bytes),
        (1184, struct.pack("!q", 762_000_000_000_000), struct.pack("!q", 769_000_000_123_456)),
        (
            3802,
            b'\x01{"id": "7d444840-9dc0-11d1-b245-5ffdce74fad2"}',
            b'\x01{"id": "9d444840-9dc0-11d1-b245-5ffdce74fad2"}',
        ),
        (25, b"order 7d444840-9dc0-11d1-b245-5ffdce74fad2", b"order 9d444840-9dc0-11d1-b245-5ffdce74fad2"),
        (20, struct.pack("!q", 1_700_000_000_123), struct.pack("!q", 1_790_000_000_456)),
    ],
)
def test_ids_and_times_bind_in_their_own_form(kind: int, then: bytes, now: bytes) -> None:
    """Ids and times in binary are found, compare equal without them, and are put back in the same form."""
    first, second = Blanker(), Blanker()
    assert cells.blanked(then, kind, 1, first) == cells.blanked(now, kind, 1, second)
    assert len(first.values) == len(second.values) == 1
    assert cells.rebound(then, kind, 1, dict(zip(first.values, second.values, strict=True))) == now


@pytest.mark.parametrize(
    ("kind", "raw", "shown"),
    [
        (1700, bytes.fromhex("0002000000000002000305dc"), "3.15"),
        (1700, bytes.fromhex("00000000c0000000"), "NaN"),
        (1700, bytes.fromhex("0001ffff4000000403e8"), "-0.1000"),
        (16, b"\1", True),
        (23, b"\0\0\0\7", 7),
        (1082, b"\0\0\0\0", dt.date(2000, 1, 1).isoformat()),
        (1184, bytes(8), "2000-01-01 00:00:00+00:00"),
        (17, b"\0\xff", "2 bytes: 00ff"),
    ],
)
def test_values_are_shown_as_people_read_them(kind: int, raw: bytes, shown: object) -> None:
    """Binary numbers, dates and bytes."""
    assert cells.shown(raw, kind, 1) == shown


def test_a_read_of_another_database_is_another_one() -> None:
    """Of two databases that are asked the same, neither answers for the other where another request may answer."""
    one, other = (matching.describe(asked("SELECT a FROM t", place=Place(peer=peer))) for peer in ("h:1/a", "h:1/b"))
    assert one == other
    assert one.identity != other.identity


def test_secrets_are_hidden_by_their_column() -> None:
    """What is bound to a column called password is no longer there; the rest is."""
    sql = "INSERT INTO buyer (name, password) VALUES ($1, $2)"
    hidden = asked(sql, b"ann", b"correct horse 7").hidden()
    assert hidden.sets[0].parameters[0] == b"ann"
    assert b"correct horse" not in hidden.messages()
    assert asked(sql, b"ann", b"x").blanked().sets[0].parameters[1] == redaction.MASK.encode()


def test_upkeep_of_drivers_is_no_call() -> None:
    """What a pool sends when a connection comes back, and what forgets prepared statements."""
    assert statements.is_upkeep("SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;")
    assert statements.is_upkeep('DEALLOCATE "_pg3_4"')
    assert not statements.is_upkeep("SELECT 1")
