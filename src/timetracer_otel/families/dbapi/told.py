"""The answer of a database: rows, counts and the connection's state, as they are recorded and read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.dbapi import secret_columns, typed
from timetracer_otel.families.dbapi.asking import weight
from timetracer_otel.seams import Value
from timetracer_otel.seams import values as kinds

__all__ = ["Row", "Told", "encode", "hidden", "read", "rebound"]

Row: TypeAlias = "tuple[Any, ...] | typed.Failed"

_LEAST_EPOCH, _MOST_EPOCH = 1.4e9, 2.2e12


@dataclass(slots=True)
class Told:
    """The answer to one call.

    Attributes:
        columns: names of the result's columns; None when it has none.
        rows: as many as the app fetched; a :class:`typed.Failed` where fetching raised.
        ended: whether it fetched all of them.
        count: the cursor's number of rows.
        last_count: likewise after the last row, where that is another one.
        last_id: the row that was inserted last.
        changes: of the connection, since it was opened.
        in_transaction: whether a transaction was open afterwards.
        value: what a method gave that gives no rows.
        noticed: what callbacks of the app were called with meanwhile.
    """

    columns: list[str] | None = None
    rows: list[Row] = field(default_factory=list)
    ended: bool = True
    count: int = -1
    last_count: int | None = None
    last_id: int | None = None
    changes: int = 0
    in_transaction: bool = False
    value: Any = None
    noticed: list[Any] = field(default_factory=list)

    def __len__(self) -> int:
        return weight(self.rows) + weight(self.value) + weight(self.noticed)

    @property
    def current_count(self) -> int:
        """The cursor's number of rows now."""
        return self.count if self.last_count is None else self.last_count


def hidden(rows: list[Row], columns: Sequence[str]) -> list[Row]:
    """Give rows with their secrets hidden.

    Args:
        rows: live, or from a recording.
        columns: the names of theirs.
    """
    secret = secret_columns.places(columns)
    return [_hidden_row(row, secret, columns) for row in rows] if secret else rows[:]


def _hidden_row(row: Row, secret: Iterable[int], columns: Sequence[str]) -> Row:
    if type(row) is not tuple:
        return row
    cells = list(row)
    for number in secret:
        if type(cells[number]) is str:
            cells[number] = secret_columns.hidden(columns[number], cells[number])
    return tuple(cells)


def encode(name: str, told: Any) -> dict[str, spans.Attribute]:
    """Encode what a call was told.

    Args:
        name: of the attribute.
        told: a :class:`Told`; what is in it now.
    """
    document: dict[str, Any] = {}
    if told.columns is not None:
        document |= {"columns": told.columns, "rows": hidden(told.rows, told.columns), "ended": told.ended}
    for key, usual in (("count", -1), ("last_count", None), ("last_id", None), ("changes", 0), ("value", None)):
        if (value := getattr(told, key)) != usual:
            document[key] = value
    for key in ("in_transaction", "noticed"):
        if value := getattr(told, key):
            document[key] = value
    return spans.encode_payload(name, typed.encoded(document))


def read(recorded: Span) -> Told | None:
    """Read what a recorded call was told; None when it does not say.

    Args:
        recorded: its span.

    Raises:
        CassetteError: it is damaged.
    """
    return typed.read(recorded, spans.RESPONSE, "result", _told)


def _told(document: dict[str, Any], payload: bytes) -> Told:
    columns = document.get("columns")
    return Told(
        None if columns is None else typed.decoded(columns),
        _rows(document.get("rows", []), payload),
        bool(document.get("ended", True)),
        document.get("count", -1),
        document.get("last_count"),
        document.get("last_id"),
        document.get("changes", 0),
        document.get("in_transaction", False),
        typed.decoded(document.get("value")),
        typed.decoded(document.get("noticed", [])),
    )


def _rows(rows: list[Any], payload: bytes) -> list[Row]:
    if redaction.may_be_sealed(payload):
        rows = [list(map(_opened, row)) if type(row) is list else row for row in rows]
    if payload.find(b'{"', 1) < 0:  # no value has a tag
        return list(map(tuple, rows))
    return [tuple(map(typed.decoded, row)) if type(row) is list else typed.decoded(row) for row in rows]


def _opened(item: Any) -> Any:
    return redaction.told(item) if type(item) is str else item


def values_in(told: Told) -> list[Value]:
    """Give the ids and times that a call was told."""
    found: list[Value] = []
    rows = [row for row in told.rows if type(row) is tuple]
    for item in (value for row in (*rows, (told.value, told.last_id)) for value in row):
        found += _values(item)
    return found


def _values(item: object) -> list[Value]:
    if isinstance(item, str):
        return list(kinds.found_in(item))
    if isinstance(item, bytes):
        value = kinds.of_bytes(item)
        return [] if value is None else [value]
    if isinstance(item, typed.Converted | typed.Text):
        return list(kinds.found_in(item.raw.decode("utf-8", "replace")))
    if isinstance(item, int | float) and _LEAST_EPOCH <= item < _MOST_EPOCH:
        return list(kinds.found_in(repr(item)))
    return []


def rebound(told: Told, bindings: Mapping[Value, Value]) -> Told:
    """Give the same with live values in place of the recorded ones that they are bound to.

    Args:
        told: from :func:`read`; changed in place.
        bindings: the live value of each recorded one.
    """
    if bindings:
        told.rows = [tuple(_bound(item, bindings) for item in row) if type(row) is tuple else row for row in told.rows]
        told.value = _bound(told.value, bindings)
    return told


def _bound(item: Any, bindings: Mapping[Value, Value]) -> Any:
    if type(item) is str:
        return kinds.rebound(item, bindings)
    if type(item) is bytes:
        value = kinds.of_bytes(item)
        live = None if value is None else bindings.get(value)
        return item if live is None else kinds.raw_of(live)
    if isinstance(item, typed.Converted | typed.Text):
        try:
            raw = kinds.rebound(item.raw.decode(), bindings).encode()
        except UnicodeDecodeError:
            return item
        return typed.Text(raw) if isinstance(item, typed.Text) else typed.Converted(item.converter, raw)
    if type(item) in {int, float} and _LEAST_EPOCH <= item < _MOST_EPOCH:
        return type(item)(kinds.rebound(repr(item), bindings))
    return item
