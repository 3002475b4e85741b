"""The debugger's beginning in a process of the replay."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from timetracer_otel.cassette.model import Lane
from timetracer_otel.debugging import runs, terminal, uvloop
from timetracer_otel.debugging.settings import Settings
from timetracer_otel.seams import Entry, children, patching
from timetracer_otel.seams import runtime as runtime_module
from timetracer_otel.seams.handlers import watcher
from timetracer_otel.seams.lanes import entering

__all__ = ["start"]


def start(settings: Settings) -> None:
    """Let the debugger wait for what it is to look at; everything else of the replay is set up.

    Args:
        settings: of the debugger.
    """
    player: Any = runtime_module.active()
    if settings.kind == "pdb":
        _start_pdb(settings, player)
    elif settings.lane:
        player.at_entry = partial(_at_entry, settings, player.journal)
        uvloop.avoid()
    elif children.parent() is None:
        runs.debug_here(settings, "the script")


def _at_entry(settings: Settings, journal: runs.Journal, entry: Entry, recorded: Lane) -> None:
    if recorded.id == settings.lane:
        runs.run_in_forks(settings, journal, entry)


def _start_pdb(settings: Settings, player: Any) -> None:
    if not settings.lane:
        if children.parent() is None:
            terminal.stop_in_main()
        return
    for integration in runtime_module.integrations.values():
        patching.apply(integration.only(integration.handlers))
    if settings.break_at:
        player.at_entry = partial(_look_ahead, settings, player.journal)
        uvloop.avoid()
    else:
        watcher.around = partial(_around, settings)


def _around(settings: Settings, handler: Callable[..., Any]) -> AbstractContextManager[None]:
    """Stop at the first line of the debugged entry's own function."""
    lane = entering()
    if lane is None or lane.id != settings.lane or lane.entry is None:
        return nullcontext()
    return terminal.around(handler, f"the entry of {lane.entry.name}")


def _look_ahead(settings: Settings, journal: runs.Journal, entry: Entry, recorded: Lane) -> None:
    """Stop before the line of a recorded call; at the entry's own function where it is not found."""
    if recorded.id != settings.lane or (found := runs.look_ahead(settings, journal, entry)) is None:
        return
    for place in found:
        stop = terminal.LineStop(place, settings.lane, f"a call of {entry.name}")
        watcher.around = stop.around
        stop.begin()
    if not found:
        sys.stderr.write("timetracer: the lane did not make the call to break at: stopping at its entry\n")
        watcher.around = partial(_around, settings)
