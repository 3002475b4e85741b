"""``timetracer watch``: lanes as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from timetracer_otel.cli.listing import changes, read_file
from timetracer_otel.cli.rows import Rows
from timetracer_otel.cli.summary import Summary

__all__ = ["news"]

_PAUSE: Final = 0.3
"""Seconds between two looks."""


def news(folder: Path) -> Iterator[Summary]:
    """Give every lane that is recorded from now on, without an end; a directory that is not there yet may come.

    Args:
        folder: the directory.
    """
    known, _ = changes(str(folder), {}, [])
    told: set[str] = set()
    while True:
        time.sleep(_PAUSE)
        new, old = changes(str(folder), known, [])
        rows = Rows.of(row for name in new for row in read_file(Path(name), name, []) or ())
        for name in old:
            del known[name]
        known |= new
        for summary in reversed(list(rows)):
            if summary.lane_id not in told and summary.kind == "lane":
                told.add(summary.lane_id)
                yield summary
