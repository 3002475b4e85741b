"""Verifying programs that serve nothing: each recorded session is run again, and its calls, output and end compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Lane, Span
from timetracer_otel.cassette.shelf import Catalog, Shelf
from timetracer_otel.errors import ConfigError
from timetracer_otel.replay import journal
from timetracer_otel.replay.calls import LaneNotes, Notes, Unused, compare_calls
from timetracer_otel.replay.compare import FieldDifference
from timetracer_otel.replay.consequences import gathered
from timetracer_otel.replay.differing import Difference, Result, Verified
from timetracer_otel.replay.driver import progress
from timetracer_otel.replay.process import App

if TYPE_CHECKING:
    from timetracer_otel.replay.verify import Options

__all__ = ["run"]

_LONGEST_OUTPUT: Final = 8 * 1024 * 1024
"""How much of each stream a recording keeps."""


def run(found: Catalog, options: Options, folder: Path) -> Result:
    """Run the command once for each recorded session that no other process started.

    Args:
        found: what the cassettes hold.
        options: see :class:`verify.Options`.
        folder: an empty one.

    Raises:
        ConfigError: the cassettes hold no session either.
        CassetteError: a cassette cannot be read.
    """
    sessions = Shelf(found).sessions
    roots = [lane for lane in sessions.values() if _parent(lane) not in sessions]
    roots = sorted(roots, key=lambda lane: lane.spans[0].start)[options.shard[0] - 1 :: options.shard[1]]
    if not roots:
        raise ConfigError("the cassettes hold neither a request nor a script: there is nothing to verify")
    result = Result()
    with progress(len(roots)) as step:
        for number, lane in enumerate(roots):
            work = folder / str(number)
            work.mkdir()
            own = found.only_sessions(one.id for one in _family(lane, sessions))
            result.verified.append(_one(lane, own, options, work))
            step()
    return result


def _parent(lane: Lane) -> str:
    return str(lane.spans[0].resource.get(spans.SESSION_PARENT_ID, ""))


def _family(lane: Lane, sessions: dict[str, Lane]) -> Iterator[Lane]:
    """A session, and those of the processes that it started."""
    yield lane
    for other in sessions.values():
        if _parent(other) == lane.id:
            yield from _family(other, sessions)


def _one(lane: Lane, found: Catalog, options: Options, work: Path) -> Verified:
    main = next((span for span in lane.spans if span.name.startswith(spans.SESSION_SPAN) and not span.is_call), None)
    output, log = work / "output", options.log or work / "app.log"
    env = options.environment(found, work)
    with output.open("wb") as stdout, App(options.command, env, log, stdout) as app:
        status = app.wait(options.timeout)
    notes = Notes(journal.read(work))
    name = main.name.removeprefix(spans.SESSION_SPAN) if main is not None else "script"
    ending = _ending(main, status, output.read_bytes(), options.timeout)
    of_all = LaneNotes()
    for one in notes.lanes.values():
        of_all.answered += one.answered
        of_all.fresh += one.fresh
    differences = gathered(_calls(notes, options.unused), ending, of_all.answered)
    calls, drawn = len(of_all.answered), of_all.drawn()
    return Verified(lane.id, name, name, str(lane.file), 0.0, differences, calls, drawn)


def _calls(notes: Notes, unused: Unused) -> Iterator[Difference]:
    """Compare the calls of all processes of the script as one: which of them asks for what is its own affair."""
    own, borrowed, all_ = notes.own(), notes.borrowed(), LaneNotes()
    ends = [lane.unused for lane in notes.sessions.values()]
    for lane in notes.lanes.values():
        all_.answered += lane.answered
        all_.misses += lane.misses
        all_.refused += lane.refused
    all_.unused = [note for note in (ends[0] if ends else []) if note["span"] not in own]
    yield from compare_calls(all_, unused, own, borrowed)


def _ending(main: Span | None, status: int | None, output: bytes, seconds: float) -> Iterator[Difference]:
    if status is None:
        yield Difference("error", f"it did not end within {seconds:g} s (--timeout)")
        return
    recorded = main.attributes.get(spans.SESSION_EXIT_STATUS) if main is not None else None
    if recorded is not None and recorded != status:
        yield Difference("exit status", "", (FieldDifference("$", recorded, status),))
    written = main.payload(spans.SESSION_STDOUT) if main is not None else None
    if written is not None and len(written) < _LONGEST_OUTPUT and written != output:
        yield Difference("output", "stdout", (_first_line(written, output),))


def _first_line(recorded: bytes, live: bytes) -> FieldDifference:
    mine, theirs = (side.decode("utf-8", "replace").splitlines() for side in (recorded, live))
    for number, (one, other) in enumerate(zip(mine, theirs, strict=False), start=1):
        if one != other:
            return FieldDifference(f"line {number}", one, other)
    return FieldDifference("lines", len(mine), len(theirs))
