"""Compares what a program saw while it was recorded with what it saw in a replay."""

from __future__ import annotations

from typing import Any

__all__ = ["same"]


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, and of the same types all the way down."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return _alike(one, other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return same(list(one.items()), list(other.items()))
    return _alike(one, other) and (one == other or repr(one) == repr(other))


def _alike(one: Any, other: Any) -> bool:
    kinds = type(one), type(other)
    return kinds[0] is kinds[1] or [kind.__qualname__ for kind in kinds] == [kinds[0].__qualname__] * 2
