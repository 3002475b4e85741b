"""JSON for people: what fits stands on one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["laid_out"]

_WIDTH: Final = 96
_STEP: Final = "  "


def laid_out(value: Any) -> str:
    """Write JSON with one line for each list and object that is short, and several for others.

    Args:
        value: JSON-like.

    Raises:
        RecursionError: it is nested hundreds of levels deep.
    """
    return "\n".join(_lines(value, _WIDTH))


def _lines(value: Any, room: int) -> Iterator[str]:
    line = json.dumps(value, ensure_ascii=False)
    if len(line) <= room or not isinstance(value, dict | list):
        yield line
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    items = _items(value)
    yield opening
    for number, (key, item) in enumerate(items, start=1):
        first, *more = _lines(item, room - len(_STEP) - len(key))
        lines = [key + first, *more]
        lines[-1] += "," if number < len(items) else ""
        yield from (_STEP + line for line in lines)
    yield closing


def _items(value: dict[str, Any] | list[Any]) -> list[tuple[str, Any]]:
    if isinstance(value, list):
        return [("", item) for item in value]
    return [(json.dumps(key, ensure_ascii=False) + ": ", item) for key, item in value.items()]
