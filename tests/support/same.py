"""Compares what a program saw while it was recorded with what it saw in a replay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["identical", "same"]


def identical(one: Any, other: Any) -> bool:
    """Whether two values are equal, and of the same types all the way down."""
    return _compared(one, other, lambda mine, theirs: mine is theirs)


def same(one: Any, other: Any) -> bool:
    """As :func:`identical`; of types that are made anew in each run, such as a record's, the names are the same."""
    return _compared(one, other, _alike)


def _compared(one: Any, other: Any, alike: Callable[[type, type], bool]) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        items = len(one) == len(other) and all(_compared(*pair, alike) for pair in zip(one, other, strict=True))
        return alike(type(one), type(other)) and items
    if isinstance(one, dict) and isinstance(other, dict):
        return _compared(list(one.items()), list(other.items()), alike)
    return alike(type(one), type(other)) and (one == other or repr(one) == repr(other))


def _alike(mine: type, theirs: type) -> bool:
    return mine is theirs or mine.__qualname__ == theirs.__qualname__
