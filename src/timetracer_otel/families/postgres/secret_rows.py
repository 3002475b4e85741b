"""Secrets in what a server tells: in rows, by the names of their columns; and in the data of a COPY from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from timetracer_otel import redaction
from timetracer_otel.families.dbapi import secret_columns
from timetracer_otel.families.postgres import copied_rows, literals, statements, wire
from timetracer_otel.families.postgres.cells import JSON, TEXTS
from timetracer_otel.families.postgres.wire import Column, Message

__all__ = ["hidden", "opened"]

_HIDDEN: Final = TEXTS - {JSON}
"""Types of which a token, or a mask, may stand in the place of any value."""
_NAMED_IN_TEXT: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"})
"""Statements whose text names the columns that are told, but for a star."""
_NAMELESS: Final = frozenset({"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET", "CLOSE", "LISTEN"})


@lru_cache(maxsize=1024)
def _may_tell(sql: str) -> bool:
    """Whether a column of what a statement is told may have a name that speaks of a secret."""
    verb = statements.outline(sql).verb
    return verb not in _NAMELESS and (verb not in _NAMED_IN_TEXT or "*" in sql or literals.speaks(sql))


@lru_cache(maxsize=1024)
def _described(body: bytes) -> tuple[Column | None, ...]:
    """Of each column of a RowDescription itself, if it may hold secrets; nothing where none does."""
    columns = wire.columns(body)
    found = set(secret_columns.places(column.name for column in columns))
    secret = [column if number in found and column.type in _HIDDEN else None for number, column in enumerate(columns)]
    return tuple(secret) if any(secret) else ()


def hidden(pieces: list[bytes], sql: str, described: bytes) -> list[bytes]:
    """Hide the secrets in a server's messages, where there is a key.

    Args:
        pieces: of the messages.
        sql: the statement.
        described: the messages that described it before.
    """
    if not _may_tell(sql if len(sql) <= literals.LONGEST else sql[: literals.LONGEST]):
        return pieces
    copied = copied_rows.of(sql)
    if copied is None and statements.outline(sql).verb == "COPY":
        return pieces
    columns = next((_described(body) for kind, body in wire.messages(described) if kind == b"T"), ())
    data = b"".join(pieces)
    if not columns and copied is None and not _tells(data, several=";" in sql):
        return [data]
    return [wire.frame(*one) for one in _hidden(data, columns, copied)]


def _tells(data: bytes, *, several: bool) -> bool:
    """Whether messages describe columns that may hold secrets."""
    for kind, body in wire.messages(data):
        if kind == b"T" and _described(body):
            return True
        if kind == b"D" and not several:
            return False
    return False


def _hidden(data: bytes, columns: tuple[Column | None, ...], copied: copied_rows.Copied | None) -> Iterator[Message]:
    for kind, body in wire.messages(data):
        if kind == b"T":
            columns = _described(body)
        elif kind == b"D" and columns:
            row = zip(columns, wire.cells(body), strict=False)
            cells = [cell if column is None else secret_columns.hidden_raw(column.name, cell) for column, cell in row]
            body = wire.row(cells)[5:]  # noqa: PLW2901 - the same with its secrets hidden
        elif kind == b"d" and copied is not None:
            body = copied.changed(body, redaction.seal)  # noqa: PLW2901 - likewise
        yield kind, body


def opened(said: Iterable[Message], sql: str) -> Iterator[Message]:
    """Put the secrets back into a server's messages, where there is a key.

    Args:
        said: from a recording.
        sql: the statement.
    """
    copied = copied_rows.of(sql)
    for kind, body in said:
        if kind == b"D" and redaction.may_be_sealed(body):
            yield kind, wire.row(map(secret_columns.opened_raw, wire.cells(body)))[5:]
        elif kind == b"d" and copied is not None:
            yield kind, copied.changed(body, redaction.told)
        else:
            yield kind, body
