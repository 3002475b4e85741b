"""Where a worker's own work ends and that of an entry begins: what is drawn inside, nobody outside has asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

__all__ = ["executed"]

_T = TypeVar("_T")


def executed(run: Callable[..., _T], args: Sequence[Any], kwargs: Mapping[str, Any]) -> _T:
    """Run an entry; the search for who asks for a draw ends in this frame.

    Args:
        run: the worker's function.
        args: of it.
        kwargs: likewise.
    """
    return run(*args, **kwargs)
