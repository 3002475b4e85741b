"""The debugger's beginning in a process of the replay."""

from __future__ import annotations

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
        _start_pdb(settings)
    elif settings.lane:
        player.at_entry = partial(_at_entry, settings, player.journal)
        uvloop.avoid()
    elif children.parent() is None:
        runs.debug_here(settings, "the script")


def _at_entry(settings: Settings, journal: runs.Journal, entry: Entry, recorded: Lane) -> None:
    if recorded.id == settings.lane:
        runs.run_in_forks(settings, journal, entry)


def _start_pdb(settings: Settings) -> None:
    if not settings.lane:
        if children.parent() is None:
            terminal.stop_in_main()
        return
    for integration in runtime_module.integrations.values():
        patching.apply(integration.only(integration.handlers))

    def around(handler: Callable[..., Any]) -> AbstractContextManager[None]:
        lane = entering()
        if lane is None or lane.id != settings.lane or lane.entry is None:
            return nullcontext()
        return terminal.around(handler, f"the entry of {lane.entry.name}")

    watcher.around = around
