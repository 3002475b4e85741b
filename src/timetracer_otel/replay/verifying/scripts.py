"""Verifying programs that serve nothing: each recorded session is run again, and its calls, output and end compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from timetracer_otel import spans
from timetracer_otel.cassette import kinds
from timetracer_otel.cassette.model import Lane, Span
from timetracer_otel.cassette.shelf import Catalog, Outline, Shelf
from timetracer_otel.errors import ConfigError
from timetracer_otel.replay import journal, variables
from timetracer_otel.replay.accepting.outcomes import own_span
from timetracer_otel.replay.answering.followed_session import parent_of
from timetracer_otel.replay.commands import Command, recorded_command
from timetracer_otel.replay.comparing.calls import LaneNotes, Notes, Unused, compare_calls
from timetracer_otel.replay.comparing.consequences import gathered
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.results import Result, Verified
from timetracer_otel.replay.comparing.seen import Seen
from timetracer_otel.replay.comparing.started_processes import StartedProcesses
from timetracer_otel.replay.comparing.values import FieldDifference
from timetracer_otel.replay.verifying import inside
from timetracer_otel.replay.verifying.driver import progress
from timetracer_otel.replay.verifying.given_streams import given_streams
from timetracer_otel.replay.verifying.options import Options
from timetracer_otel.replay.verifying.output import Printed, compare_printed
from timetracer_otel.replay.verifying.process import App
from timetracer_otel.replay.verifying.verdicts import assumed, compared, surroundings, undriven

__all__ = ["run", "takes"]


@dataclass(slots=True)
class _Run:
    """A recorded run of a script, and how it is run again.

    Attributes:
        family: its session, then those of the processes that it started.
        command: the command line; empty when nobody knows it.
        own: the session's own span, None when the process was killed.
    """

    family: list[Lane]
    command: Sequence[str]
    own: Span | None = field(init=False)

    def __post_init__(self) -> None:
        self.own = own_span(self.family[0])

    @property
    def name(self) -> str:
        """The program, for people."""
        if (entry := self.family[0].entry) is not None:
            return " ".join(filter(None, kinds.label(entry.attributes)))
        return self.own.name.removeprefix(spans.SESSION_SPAN) if self.own is not None else "script"


def takes(outline: Outline) -> bool:
    """Whether a lane is run again with its program, which ran it by itself.

    Args:
        outline: of the lane.
    """
    return outline.is_drivable and kinds.is_run_again(outline.kind)


def run(found: Catalog, options: Options, folder: Path) -> Result:
    """Run the command once for each recorded session that no other process started.

    Args:
        found: what the cassettes hold.
        options: see :class:`Options`.
        folder: an empty one.

    Raises:
        ConfigError: the cassettes hold no session either.
        CassetteError: a cassette cannot be read.
    """
    sessions = Shelf(found).sessions
    roots = sorted(
        (lane for lane in sessions.values() if parent_of(lane) not in sessions), key=lambda lane: lane.spans[0].start
    )
    if not roots:
        raise ConfigError("the cassettes hold neither a request nor a script: there is nothing to verify")
    result = Result()
    mine = list(_of_program(roots, options.command, result))[options.shard[0] - 1 :: options.shard[1]]
    with progress(len(mine)) as step:
        for number, (lane, command) in enumerate(mine):
            work = folder / str(number)
            work.mkdir()
            again = _Run(list(_family(lane, sessions)), command)
            own = found.only_sessions(one.id for one in again.family)
            result.verified += _one(again, own, options, work)
            result.notes += surroundings(Notes(journal.read(work)))
            step()
    return result


def _of_program(roots: Sequence[Lane], given: Sequence[str], result: Result) -> Iterator[tuple[Lane, Sequence[str]]]:
    """The recorded runs of the program that a command names, each with its own arguments.

    Arguments that no recorded run had are what the user wants instead, for all of them.
    """
    wanted = Command.of(given)
    recorded = [(lane, recorded_command(lane)) for lane in roots]
    same = [(lane, one) for lane, one in recorded if one is not None and one.name == wanted.name]
    if not same:  # started through something else: a shell script, a renamed file
        yield from ((lane, given) for lane in roots)
        return
    if len(same) < len(roots):
        others = {one.name if one is not None else "?" for _lane, one in recorded} - {wanted.name}
        result.notes.append(f"left out, because it was another program: {', '.join(sorted(others))}")
    known = any(one.arguments == wanted.arguments for _lane, one in same)
    for lane, one in same:
        if wanted.arguments and not known:
            yield lane, given
        else:
            yield lane, () if one.is_masked else (*wanted.head, *one.arguments)


def _family(lane: Lane, sessions: dict[str, Lane]) -> Iterator[Lane]:
    """A session, and those of the processes that it started."""
    yield lane
    for other in sessions.values():
        if parent_of(other) == lane.id:
            yield from _family(other, sessions)


def _one(again: _Run, found: Catalog, options: Options, work: Path) -> Iterator[Verified]:
    """Run it again: the verdict on its process, and on each lane that it ran by itself."""
    lane, attributes = again.family[0], again.own.attributes if again.own is not None else {}
    if (problem := _cannot_run(again, attributes)) is not None:
        yield Verified(lane.id, again.name, again.name, str(lane.file), 0.0, [Difference("error", problem)])
        return
    stdin = again.own.payload(spans.SESSION_STDIN) if again.own is not None else None
    log, env = options.log or work / "app.log", options.environment(found, work)
    env[variables.READER_LEAVES] = str(attributes.get(spans.SESSION_READER_LEFT, ""))
    if spans.SESSION_TERMINAL in attributes:
        env["TERM"] = str(attributes[spans.SESSION_TERMINAL]).partition(" ")[0]
    with given_streams(attributes, stdin or b"", log) as streams, App(again.command, env, log, streams) as app:
        status = app.wait(options.timeout)
    notes, printed = Notes(), Printed()
    for note in journal.read(work):
        notes.add(note)
        printed.take(note)
    blocks = [one for one in found.as_replayed().lanes if takes(one)]
    yield from _blocks(blocks, found, notes, options.unused)
    rest = _outside(blocks, notes)
    ending = [
        *_ending(attributes, status, options.timeout),
        *(compare_printed(again.family, own_span, printed) if status is not None else ()),
        *(Difference("error", journal.unanswered(command)) for command in printed.children.unanswered()),
    ]
    of_all = LaneNotes()
    for one in rest:
        of_all.answered += one.answered
        of_all.fresh += one.fresh
    differences = gathered(_calls(rest, notes, options.unused), ending, of_all.answered)
    yield Verified(
        lane.id,
        again.name,
        again.name,
        str(lane.file),
        0.0,
        differences,
        calls=len(of_all.answered),
        drawn=of_all.drawn(),
        assumed=assumed(of_all.answered),
        seen=Seen(
            of_all.answered, of_all.fresh, printed={**printed.by_session(), lane.id: printed.of_root()}, status=status
        ),
    )


def _blocks(lanes: Sequence[Outline], found: Catalog, notes: Notes, unused: Unused) -> Iterator[Verified]:
    """Compare the lanes that the process ran by itself."""
    opened = [one for one in lanes if notes.lanes[one.id].opened]
    driven = list(inside.outcomes(opened, Shelf(found, opened=True), notes))
    yield from compared(opened, driven, notes, StartedProcesses(notes), unused)
    yield from undriven([one for one in lanes if one not in opened], Shelf(found), ended=True)


def _outside(lanes: Sequence[Outline], notes: Notes) -> list[LaneNotes]:
    """The notes of all else, which is compared as one: not those of the lanes and of processes that they started."""
    apart = {one.id for one in lanes}
    apart |= {note["lane"] for note in notes.started if note["entry"] in apart}
    return [one for lane_id, one in notes.lanes.items() if lane_id not in apart]


def _cannot_run(again: _Run, attributes: dict[str, object]) -> str | None:
    if not again.command:
        return "its arguments hold a secret that was masked: give them behind the command"
    if spans.SESSION_STDIN + spans.TOTAL in attributes:
        return "it read more from stdin than was kept, so it cannot be run again"
    return None


def _calls(lanes: Sequence[LaneNotes], notes: Notes, unused: Unused) -> Iterator[Difference]:
    """Compare the calls of all processes of the script as one: which of them asks for what is its own affair."""
    everywhere, all_ = notes.everywhere(), LaneNotes()
    ends = [lane.unused for lane in notes.sessions.values()]
    for lane in lanes:
        all_.answered += lane.answered
        all_.misses += lane.misses
        all_.refused += lane.refused
        all_.out += lane.out
    all_.unused = [note for note in (ends[0] if ends else []) if note["span"] not in everywhere.own]
    yield from compare_calls(all_, unused, everywhere)


def _ending(recorded: dict[str, object], status: int | None, seconds: float) -> Iterator[Difference]:
    if status is None:
        yield Difference("error", f"it did not end within {seconds:g} s (--timeout)")
        return
    known = recorded.get(spans.SESSION_EXIT_STATUS)
    if known is not None and known != status:
        yield Difference("exit status", "", (FieldDifference("$", known, status),))
