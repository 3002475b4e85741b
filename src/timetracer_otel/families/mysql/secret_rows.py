"""Secrets in what a server tells: in rows, by the names of their columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from timetracer_otel import redaction
from timetracer_otel.families.dbapi import secret_columns
from timetracer_otel.families.mysql import course, literals, statements, wire
from timetracer_otel.families.mysql.course import Kind

__all__ = ["hidden", "opened"]

_BEGINNING: Final = 1 << 16
"""Bytes of an answer that its columns are in, mostly."""
_NAMED_IN_TEXT: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE"})
"""Statements whose text names the columns that are told, but for a star."""
_CELLS: Final = frozenset({15, *range(249, 255)})
"""Types that hold any text: VARCHAR, BLOB and CHAR of all kinds."""


@lru_cache(maxsize=1024)
def _may_tell(sql: str) -> bool:
    """Whether a column of what a statement is told may have a name that speaks of a secret."""
    return statements.verb_and_target(sql)[0] not in _NAMED_IN_TEXT or "*" in sql or literals.speaks(sql)


def hidden(command: int, sql: str, pieces: list[bytes]) -> list[bytes]:
    """Hide the secrets in an answer.

    Args:
        command: that is answered.
        sql: the beginning of its statement.
        pieces: of the answer.
    """
    if not sql or not _may_tell(sql):
        return pieces
    said = b"".join(pieces)
    if ";" not in sql and not _tells(command, said[:_BEGINNING]):
        return [said]
    return [_changed(command, said, secret_columns.hidden_raw)]


def _tells(command: int, said: bytes) -> bool:
    return any(
        kind is Kind.COLUMN and _secret_name(payload)
        for kind, (_, payload) in course.follow(command, wire.packets(said))
    )


@lru_cache(maxsize=4096)
def _secret_name(column: bytes) -> str:
    """The name of a column that may hold secrets; empty of any other."""
    one = wire.column(column)
    return one.name if one.type in _CELLS and secret_columns.places([one.name]) else ""


def opened(command: int, said: bytes) -> bytes:
    """Put the secrets back into an answer, where there is a key.

    Args:
        command: that is answered.
        said: from a recording.
    """
    if not redaction.may_be_sealed(said):
        return said
    return _changed(command, said, lambda _name, cell: secret_columns.opened_raw(cell))


def _changed(command: int, said: bytes, change: Callable[[str, bytes | None], bytes | None]) -> bytes:
    pieces: list[bytes] = []
    names: list[str] = []
    taken = 0
    for kind, (number, payload) in course.follow(command, wire.packets(said)):
        packet = wire.frame(payload, number)
        taken += len(packet)
        if kind is Kind.COUNT:
            names = []
        elif kind is Kind.COLUMN:
            names.append(_secret_name(payload))
        elif kind is Kind.ROW and any(names):
            row = zip(names, wire.cells(payload), strict=True)
            packet = wire.frame(wire.row(change(name, cell) if name else cell for name, cell in row), number)
        pieces.append(packet)
    return b"".join((*pieces, said[taken:]))
