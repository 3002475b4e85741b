"""The calls of a verified lane, from the notes that the replayed app kept: missing, extra, changed, reordered."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Literal, TypeAlias

from timetracer_otel.replay.comparing.differences import Difference, Drawn
from timetracer_otel.replay.comparing.ordering import Happened, Write, reordered
from timetracer_otel.replay.comparing.values import differences, orders, pairs_by_likeness
from timetracer_otel.replay.journal import NEAREST, Children

__all__ = ["AGAIN", "Everywhere", "LaneNotes", "Notes", "Unused", "asked_again", "compare_calls"]

Unused: TypeAlias = Literal["error", "warn", "ignore"]
"""How a recorded call counts that was not asked for: see ``--unused``."""

_Note: TypeAlias = Mapping[str, Any]
_LISTS = {"answered": "answered", "miss": "misses", "out": "out", "fresh": "fresh"}
"""Where :class:`LaneNotes` keeps a note of each kind."""
_ELSEWHERE = ("session", "nearest again")
"""Answers that say nothing of the order of the lane's own calls."""
AGAIN = ("repeated", "session again")
"""Answers that an identical call had before, so that this one is one too many."""


@dataclass(frozen=True, slots=True)
class Stay:
    """When a live lane was there.

    Attributes:
        process: its process.
        began: the number of the note of its beginning.
        over: likewise of its end; infinite when that was not seen.
    """

    process: int
    began: int
    over: float = math.inf

    def knows_of(self, other: Stay) -> bool:
        """Whether one of two lanes came behind the other in the same process, which may have kept what it was told."""
        return self.process == other.process and (self.over <= other.began or other.over <= self.began)


@dataclass(frozen=True, slots=True)
class Everywhere:
    """What all lanes of a replay were answered, whoever asked.

    Attributes:
        own: the recorded calls that the lanes they belong to asked for.
        borrowed: the recorded reads that answered another lane.
        settled: what calls asked that processes make at their first need; see :attr:`Description.settles`.
        askers: the lanes that asked a call which several asked.
        stays: when each lane was there.
    """

    own: frozenset[str] = frozenset()
    borrowed: frozenset[str] = frozenset()
    settled: frozenset[str] = frozenset()
    askers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    stays: Mapping[str, Stay] = field(default_factory=dict)

    def has(self, unused: _Note) -> bool:
        """Whether another lane asked what one left out, or nobody need ask it.

        Args:
            unused: the note of that call.
        """
        return (
            "probe" in unused
            or "kept" in unused
            or unused["span"] in self.borrowed
            or unused.get("settles") in self.settled
        )

    def too_often(self, answered: _Note) -> bool:
        """Whether a call was one too many.

        Args:
            answered: its note.
        """
        if "settles" in answered or "probe" in answered:
            return False
        if answered["how"] in AGAIN:
            return True
        return answered["how"] == "borrowed" and answered["span"] in self.own and self._was_known(answered)

    def _was_known(self, answered: _Note) -> bool:
        """Whether the process that made a call had the answer, or had one to come later by a call of its own.

        What a process keeps for all its requests each process asks, and requests that come at once may all ask.
        """
        stay = self.stays.get(answered["lane"])
        others = [self.stays.get(lane) for lane in self.askers[answered["span"]] - {answered["lane"]}]
        return stay is None or any(other is None or stay.knows_of(other) for other in others)


@dataclass(slots=True)
class LaneNotes:
    """The notes of one live lane, in order.

    Attributes:
        opened: whether the entry's seam saw the request.
        ended: whether it saw the end of the response.
        outcome: what came of an entry that is not driven from outside; None of others.
        entry: the attributes of the live entry, where a new recording is to be made of it.
        out: the calls that went out because they were not recorded.
        of_children: the calls that processes made in the recording which the entry had started.
        stay: when it was there; None where its beginning was not noted.
    """

    answered: list[_Note] = field(default_factory=list)
    misses: list[_Note] = field(default_factory=list)
    refused: list[_Note] = field(default_factory=list)
    unused: list[_Note] = field(default_factory=list)
    fresh: list[_Note] = field(default_factory=list)
    opened: bool = False
    ended: bool = False
    outcome: object = None
    entry: Mapping[str, Any] | None = None
    out: list[_Note] = field(default_factory=list)
    of_children: list[_Note] = field(default_factory=list)
    stay: Stay | None = None

    def still_unused(self) -> list[_Note]:
        """The recorded calls that nothing asked for, also after the response."""
        asked = {note["span"] for note in self.answered if note["how"] != "borrowed"}
        return [note for note in self.unused if note["span"] not in asked]

    def drawn(self) -> tuple[Drawn, ...]:
        """Draws of the app that the recording does not have, by kind and statement."""
        counted = Counter((note["kind"], note["module"], note["statement"]) for note in self.fresh)
        return tuple(Drawn(*where, times) for where, times in counted.items())


class Notes:
    """The notes of all processes of a replay, by lane.

    Args:
        notes: as :func:`journal.read` gives them.
    """

    def __init__(self, notes: Iterable[dict[str, Any]] = ()) -> None:
        self.lanes: dict[str, LaneNotes] = defaultdict(LaneNotes)
        self.strangers: list[str] = []
        """Requests that followed no recorded lane."""
        self.sessions: dict[str, LaneNotes] = {}
        self.started: list[_Note] = []
        """The session of each process that an entry started, with that entry."""
        self.children = Children()
        self.drives: set[str] = set()
        """The kinds of entries that processes of the replay hand out by themselves."""
        self.unseen: dict[str, None] = {}
        """Imported libraries whose connections nobody watches, each once."""
        self.sealed: dict[str, None] = {}
        """Why the program was told placeholders in the place of secrets, each once."""
        self.stands_for: dict[str, str] = {}
        """Recorded peers by the names that the program has for them now."""
        self._count = 0
        for note in notes:
            self.add(note)

    def add(self, note: dict[str, Any]) -> None:
        """Take one note, and number it."""
        self._count += 1
        note["number"] = self._count
        self.children.take(note)
        match note["what"]:
            case "lane":
                self._add_lane(note)
            case "answered" | "miss" | "out" | "fresh":
                getattr(self.lanes[note["lane"]], _LISTS[note["what"]]).append(note)
            case "refused":
                self.lanes[note.get("lane", "")].refused.append(note)
            case "started_for":
                self.started.append(note)
            case "drives":
                self.drives.add(note["kind"])
            case "unseen":
                self.unseen[note["library"]] = None
            case "sealed":
                self.sealed[note["why"]] = None
            case "stands_for":
                self.stands_for[note["name"]] = note["peer"]
            case "end" | "session_end":
                self._add_end(note)

    def _add_lane(self, note: _Note) -> None:
        if note["recorded"] is None:
            self.strangers.append(f"{note['request']}: {remark}" if (remark := note.get("remark")) else note["request"])
        else:
            lane = self.lanes[note["recorded"]]
            lane.opened, lane.stay = True, Stay(note["pid"], note["number"])

    def _add_end(self, note: _Note) -> None:
        lane = self.lanes[note["lane"]]
        lane.ended = True
        if lane.stay is not None:
            lane.stay = replace(lane.stay, over=note["number"])
        lane.unused = note["unused"]
        lane.outcome = note.get("outcome")
        lane.entry = note.get("entry")
        lane.of_children = note.get("of_children", [])
        if note["what"] == "session_end":
            self.sessions[note["lane"]] = lane

    def everywhere(self) -> Everywhere:
        """What all lanes were answered."""
        answered = [note for lane in self.lanes.values() for note in lane.answered]
        borrowed = frozenset(note["span"] for note in answered if note["how"] == "borrowed")
        askers = defaultdict[str, set[str]](set)
        for note in answered:
            if note["span"] in borrowed:
                askers[note["span"]].add(note["lane"])
        return Everywhere(
            own=frozenset(note["span"] for note in answered if note["how"] != "borrowed"),
            borrowed=borrowed,
            settled=frozenset(note["settles"] for note in answered if "settles" in note),
            askers={span: frozenset(lanes) for span, lanes in askers.items()},
            stays={name: lane.stay for name, lane in self.lanes.items() if lane.stay is not None},
        )


def compare_calls(
    lane: LaneNotes, unused: Unused, everywhere: Everywhere, *, left: bool = False
) -> Iterator[Difference]:
    """Say what is different about the calls of a lane.

    A read that another lane's recording answered is no difference when that lane did not ask it any more, and the
    other way round: what the app keeps for all requests is read by whichever comes first. What each process settles
    when it first needs it may be asked by any, and as often as there are processes. Whether a connection lives, a pool
    asks or not.

    Args:
        lane: its notes.
        unused: what calls that were not asked for are.
        everywhere: see :meth:`Notes.everywhere`.
        left: whether the recorded client left before the end. When the app notices is not the same in two runs: it may
            go on for a while with calls of the kinds that it had made.
    """
    remaining = [note for note in lane.still_unused() if not everywhere.has(note)]
    changed, missing, extra = _paired(remaining, lane.misses)
    goes_on = _going_on(lane) if left else ()
    yield from changed
    yield from _bound(lane.answered)
    for note in (note for note in extra if note not in goes_on):
        what, told = call_name(note["key"]) + _reason(note), note.get("assumed", False)
        yield Difference("extra", what, number=note["number"], note=note["number"], assumed=told)
    for note in lane.out:
        what = f"{call_name(note['key'])} (it went out)"
        yield Difference("extra", what, number=note["number"], note=note["number"])
    for note in (note for note in lane.answered if note not in goes_on):
        if everywhere.too_often(note):
            yield asked_again(note)
    for note in {note["address"]: note for note in reversed(lane.refused)}.values():
        yield Difference("refused", f"a connection to {note['address']}", number=note["number"])
    yield from reordered([_write(note) for note in lane.answered if "write" in note and note["how"] not in _ELSEWHERE])
    if unused != "ignore":
        for note in missing:
            warning, start = unused == "warn", note.get("start", 0)
            yield Difference("missing", call_name(note["key"]), warning=warning, span=note["span"], start=start)


def asked_again(note: _Note) -> Difference:
    """Say that a call was answered that was one too many.

    Args:
        note: of its answer.
    """
    what = f"{call_name(note.get('key', ()))} (asked once more than recorded)"
    return Difference("extra", what, span=note["span"], note=note["number"], assumed=note.get("assumed", False))


def _write(note: _Note) -> Write:
    (start, end), now = note["write"], note.get("at", note["number"])
    then, at = Happened(start, end, note.get("branch", "")), Happened(now, now, note.get("branch_now", ""))
    return Write(call_name(note["key"]), note["span"], then, at)


def _going_on(lane: LaneNotes) -> list[_Note]:
    """Calls that the app makes after all recorded ones, and of the same kinds.

    Of a kind that it had made again and again also those before what it does at the end, such as noting who has left.
    """
    numbers = defaultdict[tuple[str, ...], list[int]](list)
    for note in lane.answered:
        if note["how"] not in AGAIN:
            numbers[tuple(note.get("key", ()))].append(note["number"])
    last = max(chain.from_iterable(numbers.values()), default=0)

    def goes_on(note: _Note) -> bool:
        alike = numbers.get(tuple(note.get("key", ())), [])
        return bool(alike) and note["number"] > (max(alike) if len(alike) > 1 else last)

    return [note for note in (*lane.misses, *lane.answered) if goes_on(note)]


def call_name(key: Sequence[str]) -> str:
    """A call in words.

    Args:
        key: its readable address.
    """
    return " ".join(filter(None, key))


def _reason(note: _Note) -> str:
    return "" if len(note["key"]) > 1 else f": {note['message']}"


def _paired(unused: list[_Note], misses: list[_Note]) -> tuple[list[Difference], list[_Note], list[_Note]]:
    """Pair each miss with the unused call of its key that is most like it."""
    changed: list[Difference] = []
    paired_unused, paired_misses = set[int](), set[int]()
    for key in dict.fromkeys(tuple(note["key"]) for note in misses):
        theirs = [
            number for number, note in enumerate(misses) if tuple(note["key"]) == key and note["asked"] is not None
        ]
        mine = [number for number, note in enumerate(unused) if tuple(note["key"]) == key]
        shown = [unused[number].get("shown") for number in mine]
        for one, other, fields in pairs_by_likeness(shown, [misses[number]["asked"] for number in theirs]):
            paired_unused.add(mine[one])
            paired_misses.add(theirs[other])
            note, miss = unused[mine[one]], misses[theirs[other]]
            fields = fields or list(orders(note.get("shown"), miss["asked"]))  # noqa: PLW2901 - where there is no other
            places = {"number": miss["number"], "start": note.get("start", 0)}
            told = {"span": note["span"], "assumed": miss.get("assumed", False), "note": miss["number"], **places}
            changed.append(Difference("changed", call_name(key), tuple(fields), **told))
    missing = [note for number, note in enumerate(unused) if number not in paired_unused]
    extra = [note for number, note in enumerate(misses) if number not in paired_misses]
    return changed, missing, extra


def _bound(answered: Iterable[_Note]) -> Iterator[Difference]:
    """Calls that were answered although they ask something else than what was recorded to be given back.

    Those that the closest one answered have a number, as misses have: what followed is told beneath them.
    """
    for note in (note for note in answered if "asked" in note):
        fields, name = tuple(differences(note["recorded"], note["asked"])), call_name(note["key"])
        told = {"span": note["span"], "assumed": note.get("assumed", False), "note": note["number"]}
        if note["how"] in NEAREST:
            told |= {"number": note["number"], "start": note["start"]}
        if note["how"] == "nearest again":
            yield Difference("extra", f"{name} (answered by the closest recorded call)", fields, **told)
        else:
            yield Difference("changed", name, fields, **told)
