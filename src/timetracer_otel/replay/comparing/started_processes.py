"""The calls of the processes that requests start, compared with what such processes asked when they were recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from operator import itemgetter
from typing import Any

from timetracer_otel.replay import journal
from timetracer_otel.replay.comparing.calls import AGAIN, LaneNotes, Notes, Unused, asked_again, compare_calls
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.verifying.process import runs

__all__ = ["StartedProcesses"]

_WHERE = "(by a process that it started)"


class StartedProcesses:
    """Which calls processes made that requests started, and which recorded calls of such processes nothing asked for.

    Processes share work as they happen to be free, and a pool of them belongs to the request that came first. So a call
    is missing only when no process made it, and one too many only when no other process left out the same.

    Args:
        notes: of the whole replay.
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._live: dict[str, list[LaneNotes]] = defaultdict(list)
        for note in notes.started:
            self._live[note["entry"]].append(notes.lanes[note["lane"]])
        recorded = [(entry, note) for entry, lane in notes.lanes.items() for note in lane.of_children]
        self._recorded = {note["span"]: note for _entry, note in recorded}
        self._entry_of = {note["span"]: entry for entry, note in recorded}
        self._everywhere = notes.everywhere()
        self._left = {span: note for span, note in self._recorded.items() if span not in self._everywhere.own}
        self._extra = self._one_too_many()

    def of(self, entry: str) -> LaneNotes:
        """The notes of the processes that a request started, as if they were one.

        Args:
            entry: its lane.
        """
        together = LaneNotes()
        for lane in self._live[entry]:
            together.answered += lane.answered
            together.misses += lane.misses
            together.refused += lane.refused
            together.fresh += lane.fresh
        recorded = self._notes.lanes[entry].of_children if entry in self._notes.lanes else ()
        together.unused = [note for note in recorded if note["span"] in self._left]
        return together

    def differences(self, entry: str, unused: Unused) -> Iterator[Difference]:
        """Say what is different about the calls of the processes that a request started.

        Args:
            entry: its lane.
            unused: what calls that were not asked for are.
        """
        together = self.of(entry)
        for one in compare_calls(together, unused, self._everywhere):
            yield replace(one, what=f"{one.what} {_WHERE}")
        for note in together.answered:
            if note["number"] in self._extra:
                again = asked_again(note)
                yield replace(again, what=f"{again.what} {_WHERE}")
        for command in self.apart({entry}):
            yield Difference("error", command)

    def apart(self, entries: Collection[str]) -> list[str]:
        """Say which Pythons, started for some entries, were not a part of the replay; each command once.

        Args:
            entries: their lanes; an empty one is that of what no entry started.
        """
        missing = (note["command"] for note in self._notes.children.missing() if note["entry"] in entries)
        return [journal.unanswered(command) for command in dict.fromkeys(missing)]

    def are_under_way(self) -> bool:
        """Whether a process that a request started still runs, and may still ask what nothing has asked for yet."""
        starting = [note for note in self._notes.children.missing() if note["reachable"] and note["entry"]]
        asking = self._notes.started if self._left else ()
        return any(runs(note["child"]) for note in starting) or any(runs(note["pid"]) for note in asking)

    def _one_too_many(self) -> set[int]:
        """The numbers of answers that another process had too, without one that was left out for it."""
        left: dict[str, list[str]] = defaultdict(list)
        for span, note in self._left.items():
            left[note["same"]].append(span)
        extra, given = set[int](), set[str]()
        for note in self._answers():
            if note["span"] in self._recorded and note["span"] not in given:
                given.add(note["span"])
            elif others := left[self._identity(note)]:
                del self._left[others.pop()]
            else:
                extra.add(note["number"])
        return extra

    def _answers(self) -> Iterator[Mapping[str, Any]]:
        """What the recordings of processes answered, first what was recorded of the same request's.

        What one process asks too often is found without the others.
        """
        all_ = [
            (self._entry_of.get(note["span"]) != entry, note)
            for entry, lanes in self._live.items()
            for lane in lanes
            for note in lane.answered
            if note["how"] not in {*AGAIN, "borrowed"}
        ]
        yield from (note for _elsewhere, note in sorted(all_, key=itemgetter(0)))

    def _identity(self, note: Mapping[str, Any]) -> str:
        return str(self._recorded.get(note["span"], note).get("same", ""))
