"""Driving entries inside the program: nobody sends a task, so the integration of its library hands it out by itself.

The program is started once. It takes the recorded entries one after the other, without a broker, and ends by itself;
what came of each is in its journal.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from timetracer_otel import spans
from timetracer_otel.cassette import kinds
from timetracer_otel.cassette.shelf import Catalog, Outline, Shelf
from timetracer_otel.errors import ConfigError
from timetracer_otel.replay import journal
from timetracer_otel.replay.comparing.calls import LaneNotes, Notes
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.entry_ends import compare_outcomes
from timetracer_otel.replay.comparing.results import Result, Verified
from timetracer_otel.replay.comparing.started_processes import StartedProcesses
from timetracer_otel.replay.journal import Journal, driven_by
from timetracer_otel.replay.verifying import verdicts
from timetracer_otel.replay.verifying.driver import Driven
from timetracer_otel.replay.verifying.options import Options
from timetracer_otel.replay.verifying.process import App

__all__ = ["beside", "run", "takes", "to_come"]

_END_SECONDS: Final = 10.0
"""How long a program may take to end behind its last entry, before it is stopped."""
_POLL: Final = 0.05


def takes(outline: Outline) -> bool:
    """Whether a lane is driven this way.

    Args:
        outline: of the lane.
    """
    kind = kinds.named(outline.kind)
    return outline.is_drivable and kind is not None and kind.outcome is not None


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
    driven = list(_driven(opened, Shelf(found, opened=True), notes))
    yield from verdicts.compared(opened, driven, notes, started, options.unused)


def run(found: Catalog, options: Options, folder: Path) -> Result:
    """Start the command, let it take its recorded entries, and compare.

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
    env, result = options.environment(found, folder), Result()
    _leave_to_others(every, mine, folder)
    with ExitStack() as running:
        logs = [options.log or folder / f"app-{number}.log" for number in range(options.workers)]
        apps = [running.enter_context(App(options.command, env, log)) for log in logs]
        began = time.perf_counter()
        result.problems += _watch(apps, {lane.id for lane in mine}, options, folder)
        result.sending = time.perf_counter() - began
        known = {None, 0, *_recorded_statuses(found)}  # None of one that still runs
        result.problems += [f"the command {app.how}; {app.words}" for app in apps if app.exit_status not in known]
    notes = Notes(journal.read(folder))
    started = StartedProcesses(notes)
    opened = [lane for lane in mine if notes.lanes[lane.id].opened]
    driven = list(_driven(opened, Shelf(found, opened=True), notes))
    result.verified = list(verdicts.compared(opened, driven, notes, started, options.unused))
    result.verified += verdicts.undriven([lane for lane in mine if lane not in opened], Shelf(found))
    result.problems += started.apart({""})
    result.notes += verdicts.remarks(notes, mine)
    return result


def _recorded_statuses(found: Catalog) -> Iterator[object]:
    """How the recorded processes ended: a program that ends by an exception of its last entry ends so again."""
    for session in Shelf(found).sessions.values():
        yield from (span.attributes.get(spans.SESSION_EXIT_STATUS) for span in session.spans)


def _leave_to_others(every: Sequence[Outline], mine: Sequence[Outline], folder: Path) -> None:
    """Take the entries of other shards away from the program."""
    own, claiming = {lane.id for lane in mine}, Journal(folder)
    for lane in every:
        if lane.id not in own:
            claiming.claim(driven_by(lane.id))


def _watch(apps: Sequence[App], lanes: set[str], options: Options, folder: Path) -> Iterator[str]:
    """Wait until all entries have ended or the program has; say what hinders it."""
    began = last = time.monotonic()
    done, until = 0, float("inf")
    while any(not app.ended for app in apps) and time.monotonic() < until:
        notes, now = Notes(journal.read(folder)), time.monotonic()
        over = sum(notes.lanes[lane].ended for lane in lanes)
        if over > done:
            done, last = over, now
        if done == len(lanes):
            until = min(until, now + _END_SECONDS)
        elif not notes.drives and now - began > options.wait:
            yield f"the command took none of the recorded entries within {options.wait:g} s (--wait)"
            return
        elif now - max(last, began) > max(options.timeout, options.wait if not done else 0.0):
            yield f"no entry ended within {options.timeout:g} s (--timeout); {done} of {len(lanes)} had"
            return
        time.sleep(_POLL)


def _driven(lanes: Sequence[Outline], shelf: Shelf, notes: Notes) -> Iterator[Driven]:
    for outline in lanes:
        lane, live = shelf.lane(outline.id), notes.lanes[outline.id]
        kind = kinds.named(outline.kind)
        assert lane is not None and lane.entry is not None and kind is not None and kind.outcome is not None  # noqa: S101, PT018 - only such lanes are driven
        yield Driven(outline, 0.0, tuple(_compared(kind.outcome(lane.entry.attributes), live)))


def _compared(recorded: object, live: LaneNotes) -> Iterator[Difference]:
    """Compare what came of an entry, when that is known: verdicts say so of one whose end was not seen."""
    if live.ended:
        yield from compare_outcomes(recorded, live.outcome)
