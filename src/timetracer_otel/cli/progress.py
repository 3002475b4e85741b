"""A bar on stderr for what takes longer than a second, on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

__all__ = ["with_progress"]

T = TypeVar("T")
_PATIENCE: Final = 1.0
"""Seconds that nobody needs to be told about."""
_LOOK: Final = 0.1
"""Seconds between two looks of the bar at its progress."""


def with_progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Give items on, and show how many have been given once that takes long.

    Args:
        items: that are worked on.
        total: how many there are.
        what: is done to them.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console  # noqa: PLC0415 - what is quickly done needs no bar
    from rich.progress import Progress  # noqa: PLC0415 - as above

    began = looked = time.monotonic()
    with Progress(console=Console(stderr=True), transient=True, disable=False, auto_refresh=False) as bar:
        task = bar.add_task(what, total=total, visible=False)
        for done, item in enumerate(items):
            yield item
            if (now := time.monotonic()) - looked >= _LOOK:
                looked = now
                bar.update(task, completed=done + 1, visible=now - began >= _PATIENCE, refresh=now - began >= _PATIENCE)
