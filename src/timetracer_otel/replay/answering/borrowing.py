"""When a recorded read of another lane may answer: nothing is guessed, and the cassette is gone through once."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, NamedTuple, TypeAlias

from timetracer_otel.seams import Description

__all__ = ["Candidate", "Lending", "Seen"]

Subject: TypeAlias = tuple[str, ...]
_NAMED: Final = 5


class Seen(NamedTuple):
    """A call of a recording, as far as lending asks.

    Attributes:
        lane: its lane, or session.
        span: its id.
        description: what it asked.
        start: nanoseconds since the epoch.
        end: likewise.
        answer: digest of what it was told; empty when that was an error.
        lends: whether it is a lane's: what a session knows is asked before.
        process: the session of the process that made it.
        lasted: when its lane began and was over, nanoseconds since the epoch.
    """

    lane: str
    span: str
    description: Description
    start: int
    end: int
    answer: bytes
    lends: bool
    process: str = ""
    lasted: tuple[int, int] = (0, 0)


class Candidate(NamedTuple):
    """A recorded read that might answer."""

    lane: str
    span: str
    start: int
    end: int
    process: str = ""
    lasted: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class _Reads:
    """Identical reads of all lanes.

    Attributes:
        answers: that they got.
        candidates: where they are.
    """

    answers: set[bytes] = field(default_factory=set)
    candidates: list[Candidate] = field(default_factory=list)


class _Times:
    """When something was written, to be asked whether any of it falls into a while."""

    __slots__ = ("_ends", "_starts", "_written")

    def __init__(self) -> None:
        self._written: list[tuple[int, int]] = []
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        self._written.append((start, end))

    def any_between(self, start: int, end: int) -> bool:
        if len(self._starts) != len(self._written):
            self._written.sort()
            self._starts = [one for one, _ in self._written]
            self._ends = list(accumulate((other for _, other in self._written), max))
        before = bisect_left(self._starts, end)
        return before > 0 and self._ends[before - 1] > start


class Lending:
    """The calls that the lanes of a cassette may lend one another.

    Args:
        calls: of all lanes and sessions.
    """

    def __init__(self, calls: Iterable[Seen]) -> None:
        self._reads: dict[int, _Reads] = defaultdict(_Reads)
        self._at: dict[Subject, _Times] = defaultdict(_Times)
        self._below: dict[Subject, _Times] = defaultdict(_Times)
        for call in calls:
            if not call.description.read:
                self._write(call)
            elif call.lends:
                found = self._reads[call.description.identity]
                found.answers.add(call.answer)
                found.candidates.append(Candidate(*call[:2], call.start, call.end, call.process, call.lasted))
        for found in self._reads.values():
            found.candidates.sort(key=lambda one: one.start)

    def _write(self, call: Seen) -> None:
        for subject in call.description.concerns:
            self._at[subject].add(call.start, call.end)
            for length in range(len(subject)):
                self._below[subject[:length]].add(call.start, call.end)

    def lender(self, asked: Description, at: int) -> Candidate | None:
        """Give the read that may answer; None when none was recorded, they differ, or a write lies between.

        Args:
            asked: the live read.
            at: how far the recorded lane has been followed, in nanoseconds since the epoch.
        """
        found = self._reads.get(asked.identity)
        if found is None or len(found.answers) != 1 or b"" in found.answers:
            return None
        place = bisect_left(found.candidates, at, key=lambda one: one.start)
        nearest = found.candidates[max(place - 1, 0) : place + 1]
        return next((one for one in nearest if not self._written(asked, min(one.start, at), max(one.end, at))), None)

    def beside_first(self, span: str, description: Description) -> list[Candidate]:
        """Give the identical reads of other lanes, where one was the first that its process made.

        A process keeps what it was told for all its requests: it asks once, or more often where requests came at once.

        Args:
            span: the read's id.
            description: what it asked.
        """
        found = self._reads.get(description.identity)
        own = None if found is None else next((one for one in found.candidates if one.span == span), None)
        if found is None or own is None:
            return []
        others = [one for one in found.candidates if one.lane != own.lane]
        was_known = any(one.process == own.process and one.lasted[1] <= own.lasted[0] for one in others)
        return [] if was_known else others

    def _written(self, asked: Description, start: int, end: int) -> bool:
        times = [self._below.get(subject) for subject in asked.concerns]
        for subject in asked.concerns:
            times += [self._at.get(subject[:length]) for length in range(len(subject) + 1)]
        return any(one is not None and one.any_between(start, end) for one in times)

    def why_not(self, asked: Description) -> str:
        """Say of identical reads that were recorded why none of them answers; empty when there are none.

        Args:
            asked: the live read.
        """
        found = self._reads.get(asked.identity)
        if found is None:
            return ""
        if len(found.answers) > 1 or b"" in found.answers:
            why = "were not all answered alike" if len(found.answers) > 1 else "failed"
        else:
            why = "are parted from this one by a write to the same address"
        shown = ", ".join(f"span {one.span} of lane {one.lane}" for one in found.candidates[:_NAMED])
        more = len(found.candidates) - _NAMED
        return f"Identical reads of other requests {why}: {shown}{f' and {more} more' if more > 0 else ''}"
