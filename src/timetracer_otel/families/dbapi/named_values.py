"""The values that stand in a statement's text, shown beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from timetracer_otel import redaction

__all__ = ["readable", "with_values"]

_L = TypeVar("_L")


def readable(text: str) -> str:
    """Give a text as people read it: with placeholders for secrets, and what is no UTF-8 escaped.

    Args:
        text: with surrogates for bytes that are no UTF-8.
    """
    return redaction.placeholders(text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def with_values(
    bare: str, named: Sequence[tuple[_L, str]], value: Callable[[_L], Any], unnamed: str = "{}"
) -> dict[str, Any]:
    """Show a statement with marks in the place of its values, and these: of several rows a list a column.

    Args:
        bare: the statement with its marks.
        named: the values in it, each with its column, which may be empty.
        value: shows one.
        unnamed: the name of one without a column; its number stands for the braces.
    """
    parameters: dict[str, Any] = {}
    taken = [column for _, column in named]
    for number, (one, column) in enumerate(named, 1):
        if column and taken.count(column) > 1:
            parameters.setdefault(column, []).append(value(one))
        else:
            parameters[column or unnamed.format(number)] = value(one)
    document: dict[str, Any] = {"sql": readable(bare)}
    return document | {"parameters": parameters} if parameters else document
