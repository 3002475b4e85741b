"""Accepting differences: all of them, or those that the user is asked for; the cassettes are written anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from timetracer_otel.cassette import scratch
from timetracer_otel.cassette.model import Lane, Span
from timetracer_otel.cassette.replacing import replace_lanes
from timetracer_otel.cassette.shelf import Catalog, Shelf
from timetracer_otel.replay.accepting.new_spans import rewritten
from timetracer_otel.replay.accepting.outcomes import OF_CHILDREN
from timetracer_otel.replay.answering.followed_session import entry_of, parent_of
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.results import Result, Verified
from timetracer_otel.replay.comparing.seen import Seen

__all__ = ["Ask", "accept"]

Ask: TypeAlias = Callable[[Verified, Difference], bool]
"""Says whether a difference is accepted."""
_NO_ANSWER: Final = "--on-miss nearest takes a call of that address, of another lane too if named; else record it again"


def accept(found: Catalog, result: Result, ask: Ask, say: Callable[[str], object]) -> bool:
    """Write what differs into the cassettes.

    Args:
        found: what the cassettes hold.
        result: of the verification.
        ask: says what is accepted.
        say: tells the user a line.

    Returns:
        Whether nothing that differs is left.

    Raises:
        CassetteError: a cassette cannot be read or written.
    """
    work = _Accepting(Shelf(found))
    whole = not result.problems and not result.not_sent
    for one in result.differing:
        whole &= work.take(one, ask, say)
    for path, lanes in work.by_file.items():
        say(f"written {path}; as it was it is kept as {replace_lanes(path, lanes).name}")
    return whole


class _Accepting:
    """The new spans, by the files that they go into.

    Args:
        shelf: the recorded lanes.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.by_file: dict[Path, dict[str, Sequence[Span]]] = defaultdict(dict)
        self._files = {one.id: one.files for one in (*shelf.catalog.lanes, *shelf.catalog.sessions)}

    def take(self, verified: Verified, ask: Ask, say: Callable[[str], object]) -> bool:
        """Accept what the user wants of a lane; whether that is all."""
        name = f"{verified.name} (lane {verified.lane})"
        every = [one for difference in verified.differences for one in difference.flat if not one.warning]
        lanes = self._lanes(verified.lane)
        if (why := self._why_not(verified, every, lanes)) is not None:
            say(f"not accepted: {name}: {why}")
            return False
        accepted = [one for one in every if ask(verified, one)]
        if accepted and verified.seen is not None:
            declined = [one for one in every if one not in accepted]
            new = rewritten(lanes, verified.seen, accepted, declined, self._recorded)
            self._put(new)
            say(f"accepted: {name}: {len(accepted)} of {len(every)} differences")
        return len(accepted) == len(every)

    def _put(self, new: Mapping[str, Sequence[Span]]) -> None:
        for lane_id, spans in new.items():
            first, *more = self._files[lane_id]
            self.by_file[Path(first)][lane_id] = spans
            for file in more:
                self.by_file[Path(file)][lane_id] = ()

    def _why_not(self, verified: Verified, every: Sequence[Difference], lanes: Sequence[Lane]) -> str | None:
        if not verified.driven or verified.seen is None or not lanes:
            return "it was not run again"
        if any(scratch.holds(Path(file).resolve()) for lane in lanes for file in self._files[lane.id]):
            return "its cassette stands at a URL: copy it here first"
        answered = {note["number"]: note for note in verified.seen.answered}
        for one in every:
            of_stderr = one.kind == "output" and one.what.startswith("stderr")
            of_others = one.what == OF_CHILDREN and not _printed_by(lanes, verified.seen)
            if one.kind in {"error", "refused"} or of_stderr or of_others:
                return f"{one}: record it again"
            if one.kind in {"extra", "changed"} and one.note not in answered:
                return f"nothing recorded answers it: {one}: {_NO_ANSWER}"
            if one.fields and one.note and "request" not in answered[one.note]:
                return f"its integration does not say what is asked now: {one}: record it again"
        return None

    def _lanes(self, lane_id: str) -> list[Lane]:
        """A lane or session, and the sessions of the processes that it started."""
        lane = self._shelf.lane(lane_id) or self._shelf.sessions.get(lane_id)
        return [] if lane is None else [lane, *self._started_by(lane)]

    def _started_by(self, lane: Lane) -> Iterator[Lane]:
        for session in self._shelf.sessions.values():
            owner = parent_of(session) if lane.is_process else entry_of(session)
            if owner == lane.id and session.id != lane.id:
                yield session
                yield from self._started_by(session)

    def _recorded(self, span_id: str) -> Span | None:
        lanes = (*self._shelf.sessions.values(), *self._shelf.lanes)
        return next((span for lane in lanes for span in lane.spans if span.span_id == span_id), None)


def _printed_by(lanes: Sequence[Lane], seen: Seen) -> bool:
    """Whether the processes that print now are those that were recorded."""
    return seen.printed.keys() == {lane.id for lane in lanes}
