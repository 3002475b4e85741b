"""Driving entries inside the program: nobody sends a task, so the integration of its library hands it out by itself.

The program is started once. It takes the recorded entries one after the other, without a broker, and ends by itself;
what came of each is in its journal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from timetracer_otel.cassette import kinds
from timetracer_otel.cassette.shelf import Catalog, Outline, Shelf
from timetracer_otel.errors import ConfigError
from timetracer_otel.replay import journal
from timetracer_otel.replay.comparing.calls import LaneNotes, Notes
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.entry_ends import compare_outcomes
from timetracer_otel.replay.comparing.results import Result, Verified
from timetracer_otel.replay.comparing.started_processes import StartedProcesses
from timetracer_otel.replay.verifying import verdicts
from timetracer_otel.replay.verifying.driver import Driven
from timetracer_otel.replay.verifying.options import Options
from timetracer_otel.replay.verifying.turns import Turn

__all__ = ["beside", "outcomes", "run", "takes", "to_come"]

_MOST_TURNS: Final = 10
"""How often a program is started, at most: each start takes its time."""


def takes(outline: Outline) -> bool:
    """Whether a lane is driven this way.

    Args:
        outline: of the lane.
    """
    kind = kinds.named(outline.kind)
    return outline.is_drivable and kind is not None and kind.outcome is not None and not kind.is_run_again


def to_come(found: Catalog, driven: Collection[str]) -> set[str]:
    """Give the entries that a program takes by itself while it is sent requests: one process recorded both.

    Args:
        found: what the cassettes hold.
        driven: the requests that it was sent.
    """
    processes = {lane.session_id for lane in found.lanes if lane.id in driven}
    return {lane.id for lane in found.lanes if takes(lane) and lane.session_id in processes}


def beside(found: Catalog, notes: Notes, started: StartedProcesses, options: Options) -> Iterator[Verified]:
    """Compare the entries that a program took by itself while it was sent requests.

    Args:
        found: what the cassettes hold.
        notes: of all processes of the replay.
        started: the processes that lanes started.
        options: how.
    """
    opened = [lane for lane in found.lanes if takes(lane) and notes.lanes[lane.id].opened]
    driven = list(outcomes(opened, Shelf(found, opened=True), notes))
    yield from verdicts.compared(opened, driven, notes, started, options.unused)


def run(found: Catalog, options: Options, folder: Path) -> Result:
    """Start the command, let it take its recorded entries, and compare.

    A program that ends before it came to all of them, as one does that an entry breaks, is started again for the rest.

    Args:
        found: what the cassettes hold.
        options: how.
        folder: an empty one.

    Raises:
        ConfigError: the shard is empty.
        CassetteError: a cassette cannot be read.
    """
    every = [lane for lane in found.lanes if takes(lane)]
    mine = every[options.shard[0] - 1 :: options.shard[1]]
    if not mine:
        raise ConfigError(f"--shard {options.shard[0]}/{options.shard[1]}: there are fewer entries than parts")
    result, turns = Result(), list[Turn]()
    left = mine
    while left and len(turns) < _MOST_TURNS and (not turns or turns[-1].is_worth_another):
        turn = Turn(found, left, options, folder / str(len(turns)), is_another=bool(turns))
        turns.append(turn)
        turn.play(every)
        result.sending += turn.seconds
        result.problems += turn.problems
        left = [lane for lane in left if lane not in turn.opened]
    if len(turns) > 1:
        result.notes.append(f"the command was started {len(turns)} times, until it had taken what it could")
    notes = Notes(note for turn in turns for note in journal.read(turn.folder))
    started = StartedProcesses(notes)
    opened = [lane for lane in mine if lane not in left]
    driven = list(outcomes(opened, Shelf(found, opened=True), notes))
    result.verified = list(verdicts.compared(opened, driven, notes, started, options.unused))
    result.verified += verdicts.undriven(left, Shelf(found), ended=turns[-1].ended)
    result.problems += started.apart({""})
    result.notes += verdicts.remarks(notes, mine)
    return result


def outcomes(lanes: Sequence[Outline], shelf: Shelf, notes: Notes) -> Iterator[Driven]:
    """Compare what came of entries that the program ran by itself.

    Args:
        lanes: of those that it ran.
        shelf: where they are.
        notes: of all processes of the replay.
    """
    for outline in lanes:
        lane, live = shelf.lane(outline.id), notes.lanes[outline.id]
        kind = kinds.named(outline.kind)
        assert lane is not None and lane.entry is not None and kind is not None and kind.outcome is not None  # noqa: S101, PT018 - only such lanes are driven
        yield Driven(outline, 0.0, tuple(_compared(kind.outcome(lane.entry.attributes), live)))


def _compared(recorded: object, live: LaneNotes) -> Iterator[Difference]:
    """Compare what came of an entry, when that is known: verdicts say so of one whose end was not seen."""
    if live.ended:
        yield from compare_outcomes(recorded, live.outcome)
