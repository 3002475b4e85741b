"""A bar on stderr for what takes longer than a second, on a terminal only."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from timetracer_otel.cassette import files as cassette_files

__all__ = ["while_reading", "with_progress"]

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
    began = looked = time.monotonic()
    with ExitStack() as drawing:
        show: Callable[[int], None] | None = None
        for done, item in enumerate(items):
            yield item
            if (now := time.monotonic()) - began >= _PATIENCE and now - looked >= _LOOK:
                looked = now
                show = show or _bar(drawing, total, what)
                show(done + 1)


def _bar(drawing: ExitStack, total: int, what: str) -> Callable[[int], None]:
    """Begin a bar that stands until its stack ends, and give what moves it."""
    from rich.console import Console  # noqa: PLC0415 - what is quickly done needs no bar
    from rich.progress import Progress  # noqa: PLC0415 - as above

    bar = drawing.enter_context(Progress(console=Console(stderr=True), transient=True, auto_refresh=False))
    task = bar.add_task(what, total=total)
    return lambda done: bar.update(task, completed=done, refresh=True)


@contextmanager
def while_reading(files: Sequence[Path]) -> Iterator[None]:
    """Show how much of some files has been read while a block runs that takes long; what it prints it prints after.

    Args:
        files: that it reads, all of them once; or folders, with all in them.
    """
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    drawing = threading.Thread(target=_draw, args=(_size(files), over), daemon=True)
    drawing.start()
    try:
        yield
    finally:
        over.set()
        drawing.join()


def _draw(total: int, over: threading.Event) -> None:
    before = cassette_files.bytes_read()
    if over.wait(_PATIENCE):
        return
    from rich.console import Console  # noqa: PLC0415 - what is quickly done needs no bar
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn  # noqa: PLC0415 - as above

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=total)
        while not over.wait(_LOOK):
            done = cassette_files.bytes_read() - before
            if done < total:
                bar.update(task, completed=done)
            else:  # what follows is of unknown length
                bar.update(task, description="working", completed=total, total=None)


def _size(files: Sequence[Path]) -> int:
    size = 0
    for file in files:
        with suppress(OSError):
            size += _size(list(file.iterdir())) if file.is_dir() else file.stat().st_size
    return size
