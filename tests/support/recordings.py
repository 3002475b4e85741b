"""Programs that are recorded against a server, one recording each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from examples.servers import Server
from tests.support.same import same
from timetracer_otel import testing

__all__ = ["assert_nothing_changes", "recorded_each"]

_A = TypeVar("_A")


def recorded_each(
    server: Server, address: _A, programs: Mapping[str, Callable[[_A], Any]], folders: Callable[[str], Path]
) -> dict[str, tuple[Any, Path]]:
    """Give what each program saw while it was recorded, and the recording. The server does not run afterwards.

    Args:
        server: that does not run.
        address: of the server.
        programs: by their names; each takes the address.
        folders: makes a folder for a recording, by the name of its program.
    """
    server.start()
    seen: dict[str, tuple[Any, Path]] = {}
    try:
        for name, program in programs.items():
            folder = folders(name)
            with testing.record(folder):
                seen[name] = program(address), folder
    finally:
        server.stop()
    return seen


def assert_nothing_changes(program: Callable[[_A], Any], elsewhere: _A, recorded: tuple[Any, Path]) -> None:
    """Replay a program: it sees what it saw, asks nothing that was not recorded, and leaves nothing of that out.

    Args:
        program: takes an address.
        elsewhere: another one than was recorded.
        recorded: what it saw, and its recording.
    """
    then, folder = recorded
    with testing.replay(folder) as replay:
        now = program(elsewhere)
    outcome = replay.outcome()
    assert same(now, then), f"{now}\nand not\n{then}"
    assert (outcome.misses, outcome.unused, outcome.refused) == ([], [], [])
