"""Sequences of statements that nobody thought of: made by hypothesis, run by each driver, seen as plain values."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import psycopg
import psycopg2
from hypothesis import strategies as st

__all__ = ["DRIVERS", "Step", "sequences"]

_TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
_NUMBERS = st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1))
_KEYS = st.integers(0, 4)
_SCHEMA: Final = (
    "DROP TABLE IF EXISTS made; CREATE TABLE made (k int PRIMARY KEY, n int, t text, at timestamptz DEFAULT now())"
)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is asked.

    Attributes:
        statement: with ``{}`` for each parameter.
        parameters: of it.
        rows: whether rows are read.
    """

    statement: str
    parameters: tuple[Any, ...] = ()
    rows: bool = False

    def as_numbered(self) -> str:
        """The statement with ``$1`` and so on."""
        return self.statement.format(*(f"${number}" for number in range(1, len(self.parameters) + 1)))

    def as_marked(self) -> str:
        """The statement with ``%s``."""
        return self.statement.format(*["%s"] * len(self.parameters))


_PLAIN = st.sampled_from(
    [
        Step("BEGIN"), Step("COMMIT"), Step("ROLLBACK"), Step("BEGIN ISOLATION LEVEL SERIALIZABLE"),
        Step("SAVEPOINT here"), Step("ROLLBACK TO SAVEPOINT here"), Step("RELEASE SAVEPOINT here"),
        Step("SELECT 1 / 0", rows=True), Step("SELECT count(*) FROM made", rows=True), Step("SELEC"),
        Step("SELECT k, n, t FROM made ORDER BY k", rows=True), Step("SET TIME ZONE 'Asia/Kolkata'"),
        Step("RESET TIME ZONE"), Step("SELECT at IS NOT NULL, now() > at FROM made ORDER BY k", rows=True),
        Step("TRUNCATE made"), Step("SELECT txid_current() IS NOT NULL", rows=True), Step("SHOW TimeZone", rows=True),
        Step("DECLARE one CURSOR FOR SELECT k FROM made ORDER BY k"), Step("FETCH 2 FROM one", rows=True),
        Step("CLOSE one"), Step("SELECT timestamptz '2024-01-01 00:00Z'", rows=True),
    ]
)  # fmt: skip
_STEPS = st.one_of(
    _PLAIN,
    st.builds(lambda *values: Step("INSERT INTO made (k, n, t) VALUES ({}, {}, {})", values), _KEYS, _NUMBERS, _TEXTS),
    st.builds(
        lambda *values: Step("INSERT INTO made (k, t) VALUES ({}, {}) RETURNING k, at IS NULL, t", values, rows=True),
        _KEYS,
        _TEXTS,
    ),
    st.builds(lambda *values: Step("UPDATE made SET n = {} WHERE k = {}", values), _NUMBERS, _KEYS),
    st.builds(lambda key: Step("DELETE FROM made WHERE k = {}", (key,)), _KEYS),
    st.builds(lambda key: Step("SELECT n, t FROM made WHERE k = {}", (key,), rows=True), _KEYS),
    st.builds(lambda text: Step("SELECT {}::text, length({}::text)", (text, text), rows=True), _TEXTS),
)
sequences = st.lists(_STEPS, min_size=1, max_size=12)

Seen = list[Any]


def _told(error: Any, state: str | None) -> Any:
    return type(error).__name__, state, str(error)


def by_psycopg2(dsn: str, steps: list[Step]) -> Seen:
    """Run them with psycopg2."""
    seen: Seen = []
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(_SCHEMA)
        for step in steps:
            try:
                cursor.execute(step.as_marked(), step.parameters or None)
                seen.append((cursor.rowcount, cursor.statusmessage, cursor.fetchall() if step.rows else None))
            except psycopg2.Error as error:
                seen.append(_told(error, error.pgcode))
            seen.append((connection.get_transaction_status(), connection.notices[-1:]))
    return seen


def by_psycopg(dsn: str, steps: list[Step]) -> Seen:
    """Run them with psycopg 3."""
    seen: Seen = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_SCHEMA)
        connection.prepare_threshold = 1
        for step in steps:
            try:
                cursor = connection.execute(step.as_marked(), step.parameters or None)
                seen.append((cursor.rowcount, cursor.statusmessage, cursor.fetchall() if step.rows else None))
            except psycopg.Error as error:
                seen.append(_told(error, error.sqlstate))
            seen.append(connection.info.transaction_status)
    return seen


def by_asyncpg(dsn: str, steps: list[Step]) -> Seen:
    """Run them with asyncpg."""

    async def main() -> Seen:
        seen: Seen = []
        connection = await asyncpg.connect(dsn)
        await connection.execute(_SCHEMA)
        for step in steps:
            ask: Callable[..., Awaitable[Any]] = connection.fetch if step.rows else connection.execute
            try:
                found = await ask(step.as_numbered(), *step.parameters)
                seen.append([tuple(row.items()) for row in found] if step.rows else found)
            except asyncpg.PostgresError as error:
                seen.append(_told(error, error.sqlstate))
            seen.append(connection.is_in_transaction())
        await connection.close()
        return seen

    return asyncio.run(main())


DRIVERS: Final[dict[str, Callable[[str, list[Step]], Seen]]] = {
    "asyncpg": by_asyncpg,
    "psycopg": by_psycopg,
    "psycopg2": by_psycopg2,
}
