"""Lists behind ``IN``: their order means nothing, and one made of a set has another in each process."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from timetracer_otel.seams.values import Blanker, found_in

__all__ = ["Unordered", "blanked", "sorted_literals", "unordered"]

Unordered: TypeAlias = tuple[tuple[int, int, int], ...]
"""As :class:`timetracer_otel.seams.Description` has it."""

_MAY_HAVE: Final = re.compile(r"(?i)\bIN\s*\(")
_LONGEST: Final = 1024 * 1024
"""Characters of a statement that is looked through."""
_TOKEN: Final = re.compile(
    r"(?xs) '(?:[^']|'')*'? | \"(?:[^\"]|\"\")*\"? | `[^`]*`? | --[^\n]* | /\*.*?(?:\*/|\Z)"
    r"| \$\d+ | \?\d* | [^\W\d][\w$]* | \d[\w.]* | :: | \S"
)
_LITERAL: Final = re.compile(r"(?s)'.*'|\d[\w.]*")
_MARK: Final = re.compile(r"[$?]\d*")


class _Item(NamedTuple):
    """An item of a list.

    Attributes:
        start: where it begins in the statement.
        end: where it ends.
        head: its text without a cast.
    """

    start: int
    end: int
    head: str


def sorted_literals(sql: str) -> str:
    """Give a statement with the texts and numbers of its lists in one order; lists of ids and times stay as they are.

    Args:
        sql: the statement.
    """
    pieces, at = list[str](), 0
    for items in _literals(sql):
        texts = [sql[item.start : item.end] for item in items]
        if not any(any(found_in(text)) for text in texts):
            for item, text in zip(items, sorted(texts), strict=True):
                pieces += (sql[at : item.start], text)
                at = item.end
    return "".join((*pieces, sql[at:])) if pieces else sql


def unordered(sql: str) -> Unordered:
    """Say which of the values in the text of a statement stand in lists.

    Args:
        sql: the statement.
    """
    found = []
    for items in _literals(sql):
        widths = {len(list(found_in(item.head))) for item in items}
        if len(widths) == 1 and (width := widths.pop()):
            found.append((len(list(found_in(sql[: items[0].start]))), len(items), width))
    return tuple(found)


def blanked(
    sql: str, parameters: Sequence[Any], blanker: Blanker, blank: Callable[[int, Any], Any]
) -> tuple[list[Any], Unordered]:
    """Blank the parameters of a statement; those of its lists come in one order where no value is in them.

    Args:
        sql: the statement.
        parameters: by position.
        blanker: gets the values.
        blank: makes the form of a parameter in which it counts, given its position.

    Returns:
        The forms, and which of the blanker's values stand in lists.
    """
    forms, starts = [], []
    for number, parameter in enumerate(parameters):
        starts.append(len(blanker.values))
        forms.append(blank(number, parameter))
    starts.append(len(blanker.values))
    lists = []
    for first, end in _places(sql):
        widths = {starts[place + 1] - starts[place] for place in range(first, min(end, len(forms)))}
        if end > len(forms) or len(widths) > 1:
            continue
        if width := widths.pop():
            lists.append((starts[first], end - first, width))
        else:
            forms[first:end] = sorted(forms[first:end], key=repr)
    return forms, tuple(lists)


@lru_cache(maxsize=1024)
def _places(sql: str) -> tuple[tuple[int, int], ...]:
    """The positions of the parameters that stand in lists: the first of each, and that behind its last."""
    found = []
    marks: list[int] | None = None
    for items in _lists(sql):
        if all(_MARK.fullmatch(item.head) for item in items):
            marks = marks or [one.start() for one in _TOKEN.finditer(sql) if one[0] == "?"]
            places = [int(one.head[1:]) - 1 if one.head[1:] else marks.index(one.start) for one in items]
            if places == list(range(places[0], places[0] + len(places))):
                found.append((places[0], places[-1] + 1))
    return tuple(found)


def _literals(sql: str) -> Iterator[list[_Item]]:
    return (items for items in _lists(sql) if all(_LITERAL.fullmatch(item.head) for item in items))


def _lists(sql: str) -> Iterator[list[_Item]]:
    """Give the items of each list of two or more."""
    if len(sql) > _LONGEST or _MAY_HAVE.search(sql) is None:
        return
    tokens = list(_TOKEN.finditer(sql))
    for number, token in enumerate(tokens[:-1]):
        if token[0].upper() == "IN" and tokens[number + 1][0] == "(":
            items = list(_items(tokens, number + 2))
            if len(items) > 1:
                yield items


def _items(tokens: list[re.Match[str]], at: int) -> Iterator[_Item]:
    """Read single tokens, each with a cast or without, up to the parenthesis; what is no such list ends early."""
    while at + 1 < len(tokens):
        head = end = tokens[at]
        if tokens[at + 1][0] == "::" and at + 3 < len(tokens):
            end, at = tokens[at + 2], at + 2
        yield _Item(head.start(), end.end(), head[0])
        if tokens[at + 1][0] != ",":
            if tokens[at + 1][0] != ")":
                yield _Item(0, 0, "")  # neither a literal nor a mark
            return
        at += 2
