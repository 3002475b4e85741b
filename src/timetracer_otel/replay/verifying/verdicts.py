"""The verdict on each recorded lane: how it compared, or why nothing drove it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from timetracer_otel import spans
from timetracer_otel.cassette.shelf import Outline, Shelf
from timetracer_otel.replay import journal
from timetracer_otel.replay.comparing.calls import LaneNotes, Notes, Unused, compare_calls
from timetracer_otel.replay.comparing.consequences import gathered
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.results import Verified
from timetracer_otel.replay.comparing.seen import Seen
from timetracer_otel.replay.comparing.started_processes import StartedProcesses
from timetracer_otel.replay.verifying.driver import Driven

__all__ = ["assumed", "compared", "remarks", "surroundings", "undriven"]

_NAMED: Final = 5


def compared(
    sent: Sequence[Outline], driven: Sequence[Driven], notes: Notes, started: StartedProcesses, unused: Unused
) -> Iterator[Verified]:
    """Say of each lane that was driven how it compared.

    Args:
        sent: the lanes, in recorded order.
        driven: what came of those that were taken.
        notes: of all processes of the replay.
        started: the processes that lanes started.
        unused: what calls that were not asked for are.
    """
    by_lane = {one.outline.id: one for one in driven}
    everywhere = notes.everywhere()
    for outline in sent:
        if (done := by_lane.get(outline.id)) is None:
            continue
        lane = notes.lanes.get(outline.id, LaneNotes())
        theirs = started.of(outline.id)
        answered = [*lane.answered, *theirs.answered]
        if not done.answered:
            differences: tuple[Difference, ...] = done.differences
        elif not lane.opened:
            unseen = "no lane was opened for the request: is the framework one that timetracer knows, and the app its?"
            differences = (*done.differences, Difference("error", unseen))
        else:
            calls_differ = [
                *compare_calls(lane, unused, everywhere, left=done.left),
                *started.differences(outline.id, unused),
            ]
            differences = tuple(gathered(calls_differ, done.differences, answered))
            if not lane.ended:
                endless = "the end of the request was not seen: which of its calls are missing is not known"
                differences = (*differences, Difference("error", endless, warning=done.as_far))
        yield Verified(
            outline.id,
            outline.name,
            outline.operation,
            outline.files[0],
            done.seconds,
            differences,
            calls=len(answered),
            drawn=(*lane.drawn(), *theirs.drawn()),
            assumed=assumed(answered),
            seen=Seen.of_lane(lane, theirs),
        )


def assumed(answered: Iterable[Mapping[str, Any]]) -> int:
    """How many calls were answered by or behind one that asked something else.

    Args:
        answered: their notes.
    """
    return sum(bool(note.get("assumed")) for note in answered)


def undriven(lanes: Sequence[Outline], shelf: Shelf, *, ended: bool = False) -> Iterator[Verified]:
    """Say of lanes that nothing starts again that they were not verified.

    Args:
        lanes: outlines of them.
        shelf: where they are.
        ended: whether the command ended by itself before it came to them.
    """
    for outline in lanes:
        lane = shelf.lane(outline.id)
        entry = lane.entry if lane is not None else None
        if entry is None:
            name, why = outline.name.strip() or "a lane", "what started it is not in the cassettes"
        elif outline.is_drivable:
            how = "ended before it came to it" if ended else "did not take it"
            begun = entry.attributes.get(spans.PLUGIN)  # such as pytest, which --verify does not run by itself
            name, why = outline.name, f"the command {how}, an entry of the kind {outline.kind}"
            why += f" that {begun} begins" if begun else ""
        elif outline.method:
            name, why = entry.name, "its request was not recorded, only a span of it"
        else:
            name, why = entry.name, f"it is started by what a {entry.kind.name.lower()} took, not by a request"
        told = Difference("error", f"nothing drives this lane: {why}")
        yield Verified(outline.id, name, name, outline.files[0], 0.0, (told,), driven=False)


def surroundings(notes: Notes) -> list[str]:
    """Say which names stood for which recorded peers, and which secrets nobody could open.

    Args:
        notes: of all processes of the replay.
    """
    stood = [f"{name} stands for {peer}" for name, peer in notes.stands_for.items()]
    return [*stood, *map(journal.closed, notes.sealed)]


def remarks(notes: Notes, sent: Sequence[Outline]) -> list[str]:
    """Say what is worth knowing outside of the lanes that were driven.

    Args:
        notes: of all processes of the replay.
        sent: the lanes.
    """
    told = [
        f"a request that was not recorded was answered as far as possible: {one}" for one in notes.strangers[:_NAMED]
    ]
    told += surroundings(notes)
    if notes.unseen:
        told.append(f"{journal.UNSEEN}: {', '.join(notes.unseen)}")
    sent_ids = {lane.id for lane in sent}
    driven = sent_ids | {note["lane"] for note in notes.started if note["entry"] in sent_ids}
    for lane_id, lane in notes.lanes.items():
        if lane_id not in driven:
            told += [f"outside any recorded request: {miss['message']}" for miss in lane.misses[:_NAMED]]
            told += [
                f"outside any recorded request: a connection to {one} was refused"
                for one in dict.fromkeys(note["address"] for note in lane.refused)
            ]
    return told
