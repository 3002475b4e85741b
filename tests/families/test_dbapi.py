"""Statements and values of databases: read over, encoded without loss, compared."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timetracer_otel.families.dbapi import matching, told, typed
from timetracer_otel.families.dbapi.asking import Asked, encode
from timetracer_otel.families.dbapi.statements import normal, outline
from timetracer_otel.seams.value_forms import known_by

_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.builds(typed.Text, st.binary()),
    st.builds(typed.Converted, st.text("ABC", min_size=1), st.binary()),
)


@given(st.lists(st.lists(_VALUES)))
def test_values_come_back_as_they_were(rows: list[list[Any]]) -> None:
    """Each value has its type again, also what JSON has no word for."""
    decoded = typed.decoded(orjson.loads(typed.encoded(rows)))
    for row, other in zip(rows, decoded, strict=True):
        for value, again in zip(row, other, strict=True):
            both_nan = isinstance(value, float) and math.isnan(value) and math.isnan(again)
            assert type(value) is type(again)
            assert both_nan or (value == again and repr(value) == repr(again))


@pytest.mark.parametrize(
    ("sql", "verb", "target", "reads"),
    [
        ("select * from users where a = 'from x'", "SELECT", "users", True),
        ('-- note\n/* more */ INSERT OR IGNORE INTO "my_table" VALUES (1)', "INSERT", "my_table", False),
        ("WITH x AS (SELECT 1 FROM a) DELETE FROM t WHERE b IN x", "DELETE", "t", False),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "SELECT", "x", True),
        ("UPDATE OR REPLACE t SET a = 1", "UPDATE", "t", False),
        ("CREATE TABLE IF NOT EXISTS t (a)", "CREATE", "t", False),
        ("PRAGMA table_info(t)", "PRAGMA", "table_info", True),
        ("PRAGMA user_version = 5", "PRAGMA", "user_version", False),
        ("PRAGMA foreign_keys = ON", "PRAGMA", "foreign_keys", True),
        ("BEGIN IMMEDIATE", "BEGIN", "", False),
        ("", "", "", False),
        ("'unended", "", "", False),
    ],
)
def test_a_statement_is_read_over(sql: str, verb: str, target: str, reads: bool) -> None:  # noqa: FBT001 - of the table above
    """Verb, first table and whether it only reads, past comments, texts and quotes."""
    found = outline(sql)
    assert (found.verb, found.target, found.reads) == (verb, target, reads)


@pytest.mark.parametrize(
    ("sql", "sets"),
    [
        ("PRAGMA foreign_keys = ON", True),
        ("PRAGMA read_uncommitted", True),
        ("pragma main.synchronous;", True),
        ("PRAGMA user_version", False),
        ("PRAGMA table_info(threads)", False),
        ("PRAGMA journal_mode = WAL", False),
        ("SELECT foreign_keys FROM synchronous", False),
    ],
)
def test_what_is_about_a_connection_is_known(sql: str, sets: bool) -> None:  # noqa: FBT001 - of the table above
    """Nothing that is written changes what it is told, so that another request's answer serves."""
    assert outline(sql).sets is sets


def test_parameters_know_their_columns() -> None:
    """By an INSERT's list of columns, row by row, and by what they are compared with."""
    insert = "INSERT INTO t (a, password, c) VALUES (?, lower(?), ?), (:x, :y, 5)"
    assert outline(insert).bound == ("a", "password", "c")
    assert outline(insert).named == (("x", "a"), ("y", "password"))
    assert outline("SELECT ':no' FROM t WHERE token = ? AND b IN (?, ?) AND c LIKE @d").bound == ("token", "b", "")
    assert outline("SELECT $a, @b -- :c").named == (("a", ""), ("b", ""))


def test_secrets_are_hidden_by_their_columns_and_names() -> None:
    """In every row of many, positional or named; what is beside them stays readable."""
    asked = Asked("sqlite", "executemany", sql="INSERT INTO u (name, password) VALUES (?, ?)", many=True)
    asked.parameters = [["ann", "hunter2hunter2"], ["bob", "also-a-secret"]]
    text = str(encode("r", asked)["r"])
    assert "ann" in text
    assert "bob" in text
    assert "hunter2" not in text
    assert "also-a-secret" not in text
    unlisted = Asked("sqlite", "execute", sql="INSERT INTO users VALUES (?, ?)", parameters=[5, "hunter2hunter2"])
    assert "hunter2" not in str(encode("r", unlisted)["r"])
    assert not Asked("sqlite", "execute", sql="INSERT INTO teas VALUES (?, ?)", parameters=[5, "green"]).has_secrets()
    named = Asked("sqlite", "execute", sql="SELECT 1 FROM u WHERE x = :api_key", parameters={"api_key": "k" * 30})
    assert "kkk" not in str(encode("r", named)["r"])


@pytest.mark.usefixtures("own_key")
def test_secrets_that_a_database_tells_are_hidden() -> None:
    """Texts in columns that are called like secrets; numbers, blobs and rows that could not be read stay."""
    rows: list[told.Row] = [("one-of-django", "signed", 1, None), (7, b"raw", 2, ""), typed.Failed("error")]
    columns = ["session_key", "session_data", "n", "token"]
    text = str(told.encode("r", told.Told(columns=columns, rows=rows))["r"])
    assert "one-of-django" not in text
    assert "signed" not in text
    assert told.hidden(rows, columns)[1:] == rows[1:]


def test_what_tells_one_run_from_another_does_not_count() -> None:
    """Comments of sqlcommenter and made-up names of savepoints; any other text does."""
    assert normal("SELECT 1 /*traceparent='00-ab-cd-01',route='%2Fa'*/") == "SELECT 1"
    assert normal("SELECT 1 /* a hint */") == "SELECT 1 /* a hint */"
    assert normal('SAVEPOINT "s140213_x2"') == normal('SAVEPOINT "s998877_x7"')
    assert normal("SAVEPOINT tortoise_savepoint_1") == normal("SAVEPOINT tortoise_savepoint_0")
    assert normal('RELEASE SAVEPOINT "s140213_x2"') != normal('ROLLBACK TO SAVEPOINT "s140213_x2"')
    assert normal("SAVEPOINT own_name") == "SAVEPOINT own_name"


def test_fresh_values_are_told_apart_from_the_statement() -> None:
    """Two statements that differ in an id or a time have one shape; in anything else, types too, they have two."""

    def described(*parameters: Any, sql: str = "INSERT INTO t VALUES (?)") -> Any:
        return matching.describe(Asked("sqlite", "execute", sql=sql, parameters=list(parameters)))

    one, other = described("7d444840-9dc0-11d1-b245-5ffdce74fad2"), described("00000000-9dc0-4bd1-b245-5ffdce74fad2")
    assert one.shape == other.shape
    assert one.values != other.values
    assert all(list(known_by(value)) for value in one.values)
    assert described("2026-01-01 10:00:00").shape == described("2026-02-03 11:12:13").shape
    shapes = [described(value).shape for value in (1, 1.0, True, "1", b"1", None)]
    assert len(set(shapes)) == len(shapes)
    assert described("a", sql="SELECT ?").key == ("sqlite", "SELECT", "")
