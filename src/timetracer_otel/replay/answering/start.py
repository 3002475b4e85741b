"""The beginning of a replay in this process: the cassette is loaded, then nothing reaches the network any more."""

from __future__ import annotations

import atexit
import os
import threading
from functools import cache
from pathlib import Path

from timetracer_otel import redaction, seams
from timetracer_otel.cassette.shelf import Catalog
from timetracer_otel.config import Settings
from timetracer_otel.replay import variables
from timetracer_otel.replay.answering import journal_entries
from timetracer_otel.replay.answering.guard import refuse_outbound, watch_unseen
from timetracer_otel.replay.answering.loaded_cassette import loaded_shelf
from timetracer_otel.replay.answering.session import Player
from timetracer_otel.replay.answering.trace import attach
from timetracer_otel.replay.journal import Journal
from timetracer_otel.seams import children, forks, patching

__all__ = ["guard", "start"]


def start(settings: Settings) -> Player:
    """Load the cassette and answer from it, in this process, from now on.

    Args:
        settings: with the cassette to replay.

    Raises:
        CassetteError: it cannot be found or read.
    """
    folder, detailed = os.environ.get(variables.JOURNAL), variables.DETAIL in os.environ
    journal = Journal(Path(folder) if folder else None, detailed=detailed, accepting=variables.ACCEPT in os.environ)
    player = Player(settings, loaded_shelf(settings), journal)
    forks.after_in_child(player._after_fork)  # noqa: SLF001 - a test's player is let go before its process ends
    watch_unseen(lambda name: journal.note("unseen", library=name), while_=lambda: seams.active() is player)
    redaction.closed = cache(lambda why: journal.note("sealed", why=why))
    seams.set_active(player)
    _let_functions_follow(player.cassette.catalog)
    children.become_parent(player.follows)
    player.note_entry()
    player.script.begin(player.follows)
    if (traced := os.environ.get(variables.TRACE)) is not None:
        player.tracing = attach(Path(traced), player.session)
    if folder is None:
        atexit.register(player.print_outcome)
    elif detailed:
        atexit.register(_end_session, player)
    return player


def guard(player: Player) -> None:
    """Let nothing leave this process any more, once its libraries are patched.

    Before that a thread of theirs that has been there for longer would be refused what it is about to be answered.

    Args:
        player: that answers.
    """
    journal = player.journal
    refuse_outbound(
        lambda address: journal.note("refused", address=address, lane=player.lane().id, thread=threading.get_ident()),
        while_=lambda: seams.active() is player,
    )


def _end_session(player: Player) -> None:
    """Note what the session of this process left unused."""
    lane = player.session_lane
    player.watched.settle(lane.matcher)
    journal_entries.session_end(player.journal, lane.id, lane.matcher)


def _let_functions_follow(found: Catalog) -> None:
    """Have plain functions that workers ran as tasks follow their lanes when they are called."""
    for integration in list(seams.integrations.values()):
        if integration.function is not None:
            targets = {lane.target for lane in found.lanes if lane.plugin == integration.name}
            patches = filter(None, map(integration.function, targets))
            patching.apply(integration.only(tuple(patches)))
