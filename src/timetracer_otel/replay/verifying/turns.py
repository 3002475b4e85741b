"""One start of a program that takes recorded entries by itself: what it is left, what it took, how it ended."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Lane
from timetracer_otel.cassette.shelf import Catalog, Outline, Shelf
from timetracer_otel.replay import journal
from timetracer_otel.replay.answering.followed_session import parent_of
from timetracer_otel.replay.comparing.calls import Notes
from timetracer_otel.replay.journal import Journal, driven_by, followed_by
from timetracer_otel.replay.verifying.options import Options
from timetracer_otel.replay.verifying.process import App

__all__ = ["Turn"]

_END_SECONDS: Final = 10.0
"""How long a program may take to end behind its last entry, before it is stopped."""
_POLL: Final = 0.05


@dataclass(slots=True)
class Turn:
    """One start of the command.

    Attributes:
        found: what the cassettes hold.
        left: the entries that it may take.
        options: how.
        folder: of its journal, to be made.
        is_another: whether it was started before: then what it says at its end is mostly what it said before.
        opened: the entries that it took.
        problems: what went wrong outside of them.
        ended: whether it ended by itself.
        seconds: how long it took.
    """

    found: Catalog
    left: Sequence[Outline]
    options: Options
    folder: Path
    is_another: bool = False
    opened: Sequence[Outline] = ()
    problems: list[str] = field(default_factory=list)
    ended: bool = False
    seconds: float = 0.0

    @property
    def is_worth_another(self) -> bool:
        """Whether the command may take more when it is started again."""
        return self.ended and bool(self.opened)

    def play(self, every: Sequence[Outline]) -> None:
        """Run it, and note what came of it.

        Args:
            every: all entries, also those that are not its own to take.
        """
        self.folder.mkdir()
        self._leave_to_others(every)
        env = self.options.environment(self.found, self.folder)
        with ExitStack() as running:
            logs = [self.options.log or self.folder / f"app-{number}.log" for number in range(self.options.workers)]
            apps = [running.enter_context(App(self.options.command, env, log)) for log in logs]
            began = time.perf_counter()
            self.problems += self._watch(apps)
            self.seconds = time.perf_counter() - began
            self.ended = all(app.ended for app in apps)
            notes = Notes(journal.read(self.folder))
            self.opened = [lane for lane in self.left if notes.lanes[lane.id].opened]
            self.problems += self._endings(apps, notes)

    def _leave_to_others(self, every: Sequence[Outline]) -> None:
        """Take from the program the entries that are not its own, and the processes that ran for those only."""
        own, claiming = {lane.id for lane in self.left}, Journal(self.folder)
        for lane in every:
            if lane.id not in own:
                claiming.claim(driven_by(lane.id))
        if len(own) == len(every):
            return
        sessions = Shelf(self.found).sessions
        wanted = {root for lane in self.left for root in _root(lane.session_id, sessions)}
        for other in {root for lane in every for root in _root(lane.session_id, sessions)} - wanted:
            claiming.claim(followed_by(other))

    def _watch(self, apps: Sequence[App]) -> Iterator[str]:
        """Wait until all entries have ended or the program has; say what hinders it."""
        began = last = time.monotonic()
        done, until = 0, float("inf")
        while any(not app.ended for app in apps) and time.monotonic() < until:
            notes, now = Notes(journal.read(self.folder)), time.monotonic()
            over = sum(notes.lanes[lane.id].ended for lane in self.left)
            if over > done:
                done, last = over, now
            if done == len(self.left):
                until = min(until, now + _END_SECONDS)
            elif not notes.drives and now - began > self.options.wait:
                yield f"the command took none of the recorded entries within {self.options.wait:g} s (--wait)"
                return
            elif now - max(last, began) > max(self.options.timeout, self.options.wait if not done else 0.0):
                yield f"no entry ended within {self.options.timeout:g} s (--timeout); {done} of {len(self.left)} had"
                return
            time.sleep(_POLL)

    def _endings(self, apps: Sequence[App], notes: Notes) -> Iterator[str]:
        """Say of each instance that it ended otherwise than the recorded one, or too early, and where."""
        known = {None, 0, *self._recorded_statuses()}  # None of one that still runs
        taken = [lane for lane in notes.lanes if notes.lanes[lane].opened]
        last = next((lane for lane in self.opened if taken and lane.id == taken[-1]), None)
        where = "" if last is None else f" at {last.name} (lane {last.id})"
        for app in apps:
            if app.exit_status not in known:
                yield f"the command {app.how}{where}; {app.last_word if self.is_another else app.words}"
            elif self.ended and last is not None and self._goes_on_behind(last):
                yield f"the command {app.how}{where}, though the recorded one went on behind that"

    def _recorded_statuses(self) -> Iterator[object]:
        """How the recorded processes ended: one that ends by an exception of its last entry ends so again."""
        for session in Shelf(self.found).sessions.values():
            yield from (span.attributes.get(spans.SESSION_EXIT_STATUS) for span in session.spans)

    def _goes_on_behind(self, last: Outline) -> bool:
        """Whether the process that took an entry was recorded with entries that this start did not take."""
        return any(lane.session_id == last.session_id and lane not in self.opened for lane in self.left)


def _root(session_id: str | None, sessions: dict[str, Lane]) -> Iterator[str]:
    """The session of the process that a recorded one's family began with; none where it is not known."""
    while session_id in sessions:
        parent = parent_of(sessions[session_id])
        if parent not in sessions:
            yield session_id
            return
        session_id = parent
