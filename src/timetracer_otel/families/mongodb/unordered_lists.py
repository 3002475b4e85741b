"""Lists in MongoDB commands whose order means nothing to the server: they compare as multisets.

The array of ``$in``, ``$nin`` and ``$all`` in a query, the array that ``$in`` of an aggregation expression looks into,
and the values that ``$pullAll`` takes away: the operators ask whether a value is among them. ``$or`` and ``$and`` are
left in order (nothing makes them of a set), as is whatever is stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

from timetracer_otel.families.mongodb.bson_walk import ARRAY, DOCUMENT, MAX_DEPTH, Element, elements

__all__ = ["lists_without_order", "may_have_lists", "sorted_lists"]

_Context: TypeAlias = Literal["query", "expression", "update"]

may_have_lists: Final = re.compile(rb"\$(?:in|nin|all|pullAll)\0").search
"""Looks whether there is anything to do in some bytes: mostly there is not."""
_QUERY: Final = frozenset({b"$in", b"$nin", b"$all"})
_LITERAL: Final = frozenset({b"$eq", b"$ne", b"$literal"})
"""Operators whose operand is a value: what looks like an operator in it is none."""
_CONTEXTS: Final[dict[bytes, _Context]] = {
    b"filter": "query",
    b"query": "query",
    b"q": "query",
    b"arrayFilters": "query",
    b"pipeline": "expression",
    b"update": "update",
    b"u": "update",
}
"""Fields of commands and of their statements."""
_STATEMENTS: Final = frozenset({b"updates", b"deletes", b"explain"})
"""Fields that hold documents with such fields."""


def lists_without_order(buf: bytes, found: list[Element]) -> list[tuple[int, int]]:
    """Give the offsets where the arrays start and end whose order means nothing, in order.

    Args:
        buf: holds a command, or a statement of one.
        found: its elements.

    Raises:
        ValueError, IndexError, struct.error: the bytes are no BSON, or nested too deep.
    """
    return list(_of_command(buf, found))


def _of_command(buf: bytes, found: list[Element]) -> Iterator[tuple[int, int]]:
    for kind, name, _start, value, end in found:
        if kind not in {DOCUMENT, ARRAY}:
            continue
        if name in _STATEMENTS:
            inner = elements(buf, value, end)
            for statement in [inner] if kind == DOCUMENT else [elements(buf, one[3], one[4]) for one in inner]:
                yield from _of_command(buf, statement)
        elif name in _CONTEXTS:
            context = _CONTEXTS[name]
            if context == "update" and kind == ARRAY:  # a pipeline that computes the new document
                context = "expression"
            yield from _of_document(buf, value, end, context, 0)


def _of_document(buf: bytes, start: int, end: int, context: _Context, depth: int) -> Iterator[tuple[int, int]]:
    if depth > MAX_DEPTH:
        raise ValueError(f"document at byte {start} is nested more than {MAX_DEPTH} deep")
    for kind, name, _start, value, last in elements(buf, start, end):
        if kind not in {DOCUMENT, ARRAY} or name in _LITERAL:
            continue
        if context == "update":
            yield from _of_update(buf, name, value, last, depth)
        elif kind == ARRAY and context == "query" and name in _QUERY:
            yield value, last
        elif kind == ARRAY and context == "expression" and name == b"$in":
            yield from _of_membership(buf, value, last, depth)
        else:
            yield from _of_document(buf, value, last, _inside(context, name), depth + 1)


def _inside(context: _Context, name: bytes) -> _Context:
    if context == "query":
        return "expression" if name == b"$expr" else "query"
    return "query" if name in {b"$match", b"query"} else "expression"


def _of_update(buf: bytes, name: bytes, start: int, end: int, depth: int) -> Iterator[tuple[int, int]]:
    if name == b"$pull":
        yield from _of_document(buf, start, end, "query", depth + 1)
    elif name == b"$pullAll":
        yield from ((value, last) for kind, _name, _at, value, last in elements(buf, start, end) if kind == ARRAY)


def _of_membership(buf: bytes, start: int, end: int, depth: int) -> Iterator[tuple[int, int]]:
    """``{$in: [value, array]}``: the two stand in order, what is in the array does not."""
    for number, (kind, _name, _start, value, last) in enumerate(elements(buf, start, end)):
        if kind == ARRAY and number == 1:
            yield value, last
        elif kind in {DOCUMENT, ARRAY}:
            yield from _of_document(buf, value, last, "expression", depth + 1)


def sorted_lists(document: bytes) -> bytes:
    """Give a command, or a statement of one, with the lists whose order means nothing sorted by their bytes.

    Args:
        document: BSON.

    Raises:
        ValueError, IndexError, struct.error: the bytes are no BSON, or nested too deep.
    """
    if may_have_lists(document) is None:
        return document
    for start, end in lists_without_order(document, elements(document, 0, len(document))):
        found = elements(document, start, end)
        values = sorted((bytes((one[0],)), document[one[3] : one[4]]) for one in found)
        pieces = [kind + one[1] + b"\0" + raw for one, (kind, raw) in zip(found, values, strict=True)]
        document = b"".join((document[: start + 4], *pieces, document[end - 1 :]))
    return document
