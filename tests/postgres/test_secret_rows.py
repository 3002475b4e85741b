"""Secrets that a server tells, or that a COPY brings, are sealed by their columns; the key opens them."""

from __future__ import annotations

import struct

import pytest

from timetracer_otel import redaction, sealing
from timetracer_otel.families.postgres import copied_rows, secret_rows, wire

SECRET = "correct horse 7"
PERSON = [("id", 23), ("name", 25), ("password", 25), ("session_data", 1043), ("token", 20)]


pytestmark = pytest.mark.usefixtures("own_key")


def told() -> bytes:
    """A row of a person, described."""
    columns = wire.row_description((name.encode(), (0, 0, kind, -1, -1, 0)) for name, kind in PERSON)
    return (
        columns + wire.row([b"1", b"ann", SECRET.encode(), SECRET.encode(), b"7"]) + wire.command_complete("SELECT 1")
    )


@pytest.mark.parametrize("sql", ["SELECT * FROM person", "FETCH 5 FROM people", "SELECT id, password FROM person"])
def test_rows(sql: str) -> None:
    """Texts of columns that are called like secrets are hidden, numbers are not, and they come back."""
    [*kept] = secret_rows.hidden([told()[:40], told()[40:]], sql, b"")
    stored = b"".join(kept)
    assert SECRET.encode() not in stored
    assert b"ann" in stored
    assert b"".join(wire.frame(*one) for one in secret_rows.opened(wire.messages(stored), sql)) == told()


def test_what_speaks_of_no_secret_stays_as_it_is() -> None:
    """The pieces of an answer are not even looked at where nothing in the statement speaks of one."""
    pieces = [told()]
    assert secret_rows.hidden(pieces, "SELECT id, name FROM person", b"") is pieces


def test_without_a_key_an_answer_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be masked is lost to a replay, and the app would go on with a wrong answer."""
    monkeypatch.setenv("TIMETRACER_KEY", "none")
    sealing.forget()
    assert b"".join(secret_rows.hidden([told()], "SELECT * FROM person", b"")) == told()


BINARY = b"PGCOPY\n\xff\r\n\0" + bytes(8)


def field(raw: bytes | None) -> bytes:
    """A field of binary data."""
    return struct.pack("!i", -1) if raw is None else struct.pack("!i", len(raw)) + raw


@pytest.mark.parametrize(
    ("sql", "data"),
    [
        ("COPY person (id, password) FROM STDIN", b"1\tcorrect horse 7\n2\t\\N\n3\tcorrect horse 7\\t\\\\\n"),
        ('COPY s."person"("id","password") FROM stdin WITH DELIMITER AS \'|\' NULL AS \'\'', b"1|correct horse 7\n"),
        ("COPY person (id, password) TO STDOUT (FORMAT csv)", b'1,"correct horse 7\n, ""x"""\n2,\n'),
        ("COPY person FROM STDIN WITH CSV HEADER", b"id,password\n1,correct horse 7\n"),
        ("COPY (SELECT p.id, p.hash AS password FROM person p) TO STDOUT", b"1\tcorrect horse 7\n"),
        (
            "COPY person (id, password) FROM STDIN (FORMAT BINARY)",
            BINARY + struct.pack("!h", 2) + field(b"1") + field(SECRET.encode()) + struct.pack("!h", -1),
        ),
        (
            "COPY person (password, id) FROM STDIN BINARY",
            struct.pack("!h", 2) + field(SECRET.encode()) + field(None) + struct.pack("!h", -1),
        ),
    ],
)
def test_the_data_of_a_copy(sql: str, data: bytes) -> None:
    """What is in a column that is called like a secret is hidden, in every format, and comes back."""
    copied, again = copied_rows.of(sql), copied_rows.of(sql)
    assert copied is not None
    assert again is not None
    stored = copied.changed(data, redaction.hide)
    assert SECRET.encode() not in stored
    assert again.changed(stored, redaction.opened) == data


@pytest.mark.parametrize(
    "sql", ["COPY person FROM STDIN", "COPY person (id, name) TO STDOUT", "COPY (TABLE person) TO STDOUT", "SELECT 1"]
)
def test_columns_that_nobody_names(sql: str) -> None:
    """Where the columns are not known, or none speaks of a secret, the data stays as it is."""
    assert copied_rows.of(sql) is None


def test_a_row_that_is_cut_off() -> None:
    """Of binary data whose last row is not whole, because the client gave up, the whole rows are hidden."""
    data = BINARY + struct.pack("!h", 1) + field(SECRET.encode()) + struct.pack("!h", 1)
    copied = copied_rows.of("COPY person (password) FROM STDIN BINARY")
    assert copied is not None
    stored = copied.changed(data, redaction.hide)
    assert SECRET.encode() not in stored
    assert copied.changed(stored, redaction.opened) == data
