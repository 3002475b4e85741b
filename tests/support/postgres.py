"""The PostgreSQL server of the tests, and programs that are recorded against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from examples.postgres import PASSWORD, PostgresServer, running
from timetracer_otel import testing

__all__ = ["PASSWORD", "PostgresServer", "recorded_each", "running"]


def recorded_each(
    server: PostgresServer, programs: Mapping[str, Callable[[str], Any]], folders: Callable[[str], Path]
) -> dict[str, tuple[Any, Path]]:
    """Give what each program saw while it was recorded, and the recording. The server does not run afterwards.

    Args:
        server: that does not run.
        programs: by their names; each takes a DSN.
        folders: makes a folder for a recording, by the name of its program.
    """
    server.start()
    seen: dict[str, tuple[Any, Path]] = {}
    try:
        for name, program in programs.items():
            folder = folders(name)
            with testing.record(folder):
                seen[name] = program(server.dsn), folder
    finally:
        server.stop()
    return seen
