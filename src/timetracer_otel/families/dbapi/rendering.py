"""Shows the question to a database and its answer as data for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.dbapi import asking, told, typed
from timetracer_otel.families.dbapi.asking import Asked
from timetracer_otel.families.dbapi.statements import normal
from timetracer_otel.families.dbapi.told import Told
from timetracer_otel.families.showing import both

__all__ = ["VOLATILE", "render", "shown"]

VOLATILE: Final = frozenset({"database", "in_transaction"})
_MOST_ROWS: Final = 20
_LONGEST: Final = 400


def render(recorded: Span) -> dict[str, Any]:
    """Show a recorded call: ``{"request": …, "response": …}``.

    Args:
        recorded: its span.
    """
    asked, found = asking.read(recorded), told.read(recorded)
    return both(recorded, None if asked is None else shown(asked), None if found is None else _told(found))


def shown(asked: Asked) -> dict[str, Any]:
    """Show what is asked: the statement, and its parameters by name or in order. Secrets are placeholders.

    Args:
        asked: recorded or live.
    """
    asked = asked.hidden()
    document: dict[str, Any] = {}
    if asked.operation != "execute":
        document["do"] = asked.operation
    if asked.sql:
        document["sql"] = normal(asked.sql)
    if asked.parameters or asked.many:
        document["parameters"] = _plain(asked.parameters)
    for name in sorted(VOLATILE):
        if value := getattr(asked, name):
            document[name] = value
    return document


def _told(found: Told) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if found.columns is not None:
        document |= {"columns": found.columns, "rows": _plain(told.hidden(found.rows[:_MOST_ROWS], found.columns))}
        if len(found.rows) > _MOST_ROWS:
            document["more rows"] = len(found.rows) - _MOST_ROWS
        if not found.ended:
            document["note"] = "the app read no further"
    for name, value in (
        ("affected", found.current_count if found.current_count >= 0 else None),
        ("last id", found.last_id),
        ("value", _plain(found.value)),
        ("noticed", _plain(found.noticed) or None),
    ):
        if value is not None:
            document[name] = value
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    shown = _SHOWN.get(type(value))
    return value if shown is None else shown(value)


def _text(text: str) -> str:
    return redaction.placeholders(text.encode("utf-8", "backslashreplace").decode())


def _raw(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _bytes(data: bytes) -> str:
    return f"{len(data)} bytes: {data[:_LONGEST].hex()}{'…' if len(data) > _LONGEST else ''}"


_SHOWN: Final[dict[type, Callable[[Any], Any]]] = {
    str: _text,
    bytes: _bytes,
    typed.Converted: lambda value: f"{value.converter} {_raw(value.raw)}",
    typed.Text: lambda value: _raw(value.raw),
    typed.Failed: lambda value: {"failed": spans.json_or_text(value.error)},
    typed.Unknown: lambda value: f"<{value.kind}>",
}
