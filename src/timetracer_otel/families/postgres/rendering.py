"""Shows the question to a server and its answer as data for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.dbapi.named_values import readable, with_values
from timetracer_otel.families.postgres import asked as questions
from timetracer_otel.families.postgres import cells, literals, statements, told, wire
from timetracer_otel.families.postgres.asked import Asked
from timetracer_otel.families.postgres.literals import Literal
from timetracer_otel.families.postgres.wire import Bound
from timetracer_otel.families.showing import both

__all__ = ["VOLATILE", "render", "shown"]

VOLATILE: Final = frozenset({"in_transaction"})
_MOST_ROWS: Final = 20
_WORDS: Final = {"NULL": None, "TRUE": True, "FALSE": False}
_SHOWN_FIELDS: Final = {
    "C": "sqlstate", "M": "message", "D": "detail", "H": "hint", "s": "schema", "t": "table", "c": "column",
    "n": "constraint", "W": "where",
}  # fmt: skip


def render(recorded: Span) -> dict[str, Any]:
    """Show a recorded call: ``{"request": …, "response": …}``.

    Args:
        recorded: its span.
    """
    asked = questions.read(recorded)
    return both(recorded, None if asked is None else shown(asked), _told(recorded))


def shown(asked: Asked) -> dict[str, Any]:
    """Show what is asked: the statement, its parameters by column or number. Secrets are placeholders.

    Args:
        asked: recorded or live.
    """
    asked = asked.hidden()
    document: dict[str, Any] = {}
    if asked.operation not in {"query", "execute"}:
        document["do"] = asked.operation
    if asked.operation == "query" and asked.copied is None:
        sql = statements.normal(literals.compact(asked.sql))
        document |= with_values(literals.bare(sql), literals.named(sql), _value, unnamed="${}")
    elif asked.sql:
        document["sql"] = readable(statements.normal(literals.compact(asked.sql)))
    sets = [_parameters(asked, one) for one in asked.sets]
    if sets and any(sets):
        document["parameters"] = sets[0] if len(sets) == 1 else sets
    if asked.limit:
        document["limit"] = asked.limit
    if asked.copied is not None:
        document["data"] = _data(bytes(asked.copied))
    if asked.refused:
        document["refused"] = asked.refused
    if asked.place.inside:
        document["in_transaction"] = True
    return document


def _value(one: Literal) -> Any:
    if one.kind == "word":
        return _WORDS[one.raw.upper()]
    if one.kind == "number":
        return int(one.raw) if one.raw.lstrip("-").isdigit() else one.raw
    return readable(one.text)


def _parameters(asked: Asked, one: Bound) -> dict[str, Any]:
    columns = asked.columns
    taken = list(columns.values())
    shown: dict[str, Any] = {}
    for number, raw in enumerate(one.parameters):
        column = columns.get(number, "")
        name = column if column and taken.count(column) == 1 else f"${number + 1}"
        shown[name] = cells.shown(raw, asked.type_of(number), one.formats[number])
    return shown


def _data(data: bytes) -> Any:
    return spans.json_or_text(data.decode("utf-8", "backslashreplace"))


def _told(recorded: Span) -> dict[str, Any] | None:
    said = told.messages(recorded)
    if not said:
        return None
    document: dict[str, Any] = {}
    rows = [[cells.shown(cell, *kind) for cell, kind in row] for row in _cells(recorded)]
    names = _names(recorded)
    if names:
        document |= {"columns": names, "rows": rows[:_MOST_ROWS]}
    if len(rows) > _MOST_ROWS:
        document["more rows"] = len(rows) - _MOST_ROWS
    tags = [wire.text(body)[0] for kind, body in said if kind == b"C"]
    if tags:
        document["done"] = tags[0] if len(tags) == 1 else _counted(tags)
        affected = [int(tag.rpartition(" ")[2]) for tag in tags if tag.rpartition(" ")[2].isdigit()]
        if affected:
            document["affected"] = sum(affected)
    copied = b"".join(body for kind, body in said if kind == b"d")
    if copied:
        document["data"] = _data(copied)
    for kind, name in ((b"N", "notices"), (b"E", "errors")):
        found = [_fields(body) for one, body in said if one == kind]
        if found:
            document[name] = found
    return document


def _counted(tags: list[str]) -> list[str]:
    return [f"{tag} ({tags.count(tag)} times)" if tags.count(tag) > 1 else tag for tag in dict.fromkeys(tags)]


def _cells(recorded: Span) -> Iterator[list[tuple[bytes | None, tuple[int, int]]]]:
    for columns, row in told.rows(recorded):
        kinds = [(column.type, column.format) for column in columns] or [(0, 0)] * len(row)
        yield list(zip(row, kinds, strict=False))


def _names(recorded: Span) -> list[str]:
    columns = questions.read_described(recorded).columns
    for kind, body in told.messages(recorded):
        if kind == b"T":
            columns = tuple(wire.columns(body))
    return [column.name for column in columns]


def _fields(body: bytes) -> dict[str, str]:
    fields = wire.error_fields(body)
    return {name: fields[letter] for letter, name in _SHOWN_FIELDS.items() if letter in fields}
