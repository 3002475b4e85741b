"""Which recorded lane a live entry follows, whatever its kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from timetracer_otel import spans
from timetracer_otel.cassette import kinds
from timetracer_otel.cassette.kinds import Chosen, Claim, Follower
from timetracer_otel.cassette.model import Lane
from timetracer_otel.cassette.shelf import Outline, Shelf
from timetracer_otel.errors import CassetteError
from timetracer_otel.replay.answering import closest_request
from timetracer_otel.replay.journal import driven_by
from timetracer_otel.seams import Entry

__all__ = ["Entries"]


class Entries:
    """The recorded entries, looked up by what a live one says.

    Args:
        shelf: the recorded lanes.
        claim: takes a name that only one process of the replay may have.
    """

    def __init__(self, shelf: Shelf, claim: Claim) -> None:
        self._shelf = shelf
        self._claim = claim
        self.stray = ""
        """What is to be said of the last call that followed no lane, though others of the kind were recorded."""
        by_kind: dict[str, list[Outline]] = defaultdict(list)
        for outline in shelf.catalog.lanes:
            by_kind[outline.kind].append(outline)
        self._followers: dict[str, Follower] = {
            name: kind.follower(by_kind[name], shelf.lane, claim) for name, kind in kinds.known().items()
        }

    def forked(self) -> None:
        """Be usable in a forked child, where the threads that may have held locks are not."""
        for follower in self._followers.values():
            follower.forked()

    def to_drive(self, kind: str, plugin: str) -> Iterator[Lane]:
        """Give the recorded entries of a kind in order, each to one process of the replay.

        Args:
            kind: of the entries.
            plugin: the integration that recorded them.
        """
        for outline in self._shelf.catalog.lanes:
            if outline.kind == kind and outline.is_drivable:
                lane = self._shelf.lane(outline.id)
                is_theirs = lane is not None and lane.entry is not None and lane.entry.text(spans.PLUGIN) == plugin
                if lane is not None and is_theirs and self._claim(driven_by(outline.id)):
                    yield lane

    def wants_whole(self, entry: Entry) -> bool:
        """Whether an entry must be read to its end before :meth:`choose`; not where our header names the lane."""
        follower = self._followers.get(entry.kind)
        return follower is not None and self._named(entry) is None and follower.wants_whole(entry)

    def choose(self, entry: Entry) -> Chosen:
        """Give the lane that an entry follows: the one that our header names, else the one that its kind finds.

        Args:
            entry: read to its end, when :meth:`wants_whole` said so.
        """
        named, follower = self._named(entry), self._followers.get(entry.kind)
        if named is not None or follower is None:
            return Chosen(named)
        chosen = follower.choose(entry)
        if chosen.lane is None and not chosen.remark:
            return Chosen(None, self._closest(entry))
        return chosen

    def follow(self, entry: Entry) -> Chosen:
        """Give the lane that a call of the app's own follows; of one that follows none, remember what was closest.

        Args:
            entry: as the call says.
        """
        chosen = self.choose(entry)
        if chosen.lane is None and closest_request.same_target(entry, self._shelf):
            self.stray = f"; {entry.name} was called as it was not recorded: {chosen.remark}"
        return chosen

    def _closest(self, entry: Entry) -> str:
        try:
            return closest_request.described(entry, self._shelf)
        except CassetteError as error:  # what cannot be read is no closest one
            return str(error)

    def _named(self, entry: Entry) -> Lane | None:
        named = entry.header(spans.LANE_HEADER)
        return self._shelf.lane(named) if named else None
