"""Shows the question to a server and its answer as data for people."""

from __future__ import annotations

from typing import Any, Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.dbapi.named_values import readable, with_values
from timetracer_otel.families.mysql import asked as questions
from timetracer_otel.families.mysql import cells, literals, statements, told
from timetracer_otel.families.mysql.asked import QUERY, Asked
from timetracer_otel.families.mysql.literals import Literal
from timetracer_otel.families.mysql.told import Result
from timetracer_otel.families.showing import both

__all__ = ["VOLATILE", "render", "shown"]

VOLATILE: Final = frozenset({"in_transaction"})
_MOST_ROWS: Final = 20
_LONGEST: Final = 400
_LONGEST_STATEMENT: Final = 1 << 20
_CONSTANTS: Final = {"NULL": None, "TRUE": True, "FALSE": False}


def render(recorded: Span) -> dict[str, Any]:
    """Show a recorded call: ``{"request": …, "response": …}``.

    Args:
        recorded: its span.
    """
    asked = questions.read(recorded)
    return both(recorded, None if asked is None else shown(asked), _told(recorded))


def shown(asked: Asked) -> dict[str, Any]:
    """Show what is asked: the statement, the values in it by column or number. Secrets are placeholders.

    Args:
        asked: recorded or live.
    """
    asked = asked.hidden()
    document: dict[str, Any] = {}
    if asked.command != QUERY:
        document["do"] = asked.verb
        if asked.argument:
            document["name"] = asked.argument.decode("utf-8", "backslashreplace")
    elif len(asked.compact) > _LONGEST_STATEMENT:
        document["sql"] = readable(f"{asked.compact[:_LONGEST]}… ({len(asked.argument)} bytes)")
    else:
        document |= _statement(statements.normal(asked.compact))
    if asked.file is not None:
        document["data"] = spans.json_or_text(asked.file.decode("utf-8", "backslashreplace"))
    if asked.place.inside:
        document["in_transaction"] = True
    return document


def _statement(sql: str) -> dict[str, Any]:
    named = literals.named(sql)
    return with_values(literals.bare(sql, [one for one, _ in named]), named, _value)


def _value(one: Literal) -> Any:
    if not one.quoted:
        constant = one.raw.upper()
        if constant in _CONSTANTS:
            return _CONSTANTS[constant]
        return int(one.raw) if one.raw.lstrip("-").isdigit() else one.raw
    if one.prefix in {"_binary", "x", "b"}:
        raw = one.text.encode("utf-8", "surrogateescape")
        return f"{one.prefix} {one.text}" if one.prefix != "_binary" else f"{len(raw)} bytes: {raw[:_LONGEST].hex()}"
    return readable(one.text)


def _told(recorded: Span) -> Any:
    found = [_result(one) for one in told.results(recorded)]
    return found[0] if len(found) == 1 else found or None


def _result(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if result.columns:
        rows = [
            [cells.shown(cell, column) for cell, column in zip(row, result.columns, strict=False)]
            for row in result.rows[:_MOST_ROWS]
        ]
        document |= {"columns": [column.name for column in result.columns], "rows": rows}
    if len(result.rows) > _MOST_ROWS:
        document["more rows"] = len(result.rows) - _MOST_ROWS
    if result.done is not None:
        document["affected"] = result.done.affected
        if result.done.last_id:
            document["last id"] = result.done.last_id
    if result.warnings:
        document["warnings"] = result.warnings
    if result.error is not None:
        document["errors"] = [
            {"number": result.error.number, "sqlstate": result.error.sqlstate, "message": result.error.message}
        ]
    if result.text:
        document["text"] = result.text.decode("utf-8", "backslashreplace")
    return document
