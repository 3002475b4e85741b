"""Looking a live call up, and what is done where it was not recorded: a miss, the closest answers, or it goes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NoReturn, Protocol, TypeAlias

from timetracer_otel import seams
from timetracer_otel.cassette import model
from timetracer_otel.cassette.shelf import Shelf
from timetracer_otel.config import Settings
from timetracer_otel.replay.answering import closest_call, described_calls, journal_entries
from timetracer_otel.replay.answering.entries import Entries
from timetracer_otel.replay.answering.matching import Match, Matcher
from timetracer_otel.replay.answering.peers import Peers, renamed
from timetracer_otel.replay.journal import Journal
from timetracer_otel.seams import Description, Entry, GoesOut

__all__ = ["look_up", "meanings"]

_OTHERS: Final = 1000
"""Lanes that are gone through for an answer of the address: a folder may hold very many."""
Found: TypeAlias = tuple[Match, Matcher]


class _Lane(Protocol):
    """The live lane that asks, as :class:`timetracer_otel.replay.answering.session.ReplayLane` is one."""

    id: str
    entry: Entry | None
    recorded: model.Lane | None
    remark: str
    assumed: bool
    peers: Peers


class _Player(Protocol):
    """What of a replay's runtime a look-up needs."""

    settings: Settings
    cassette: Shelf
    journal: Journal
    entries: Entries

    def find(self, lane: Any, asked: Description, instead: Sequence[Description] = ()) -> Found | None:
        """Go down the ladder."""
        ...

    def matchers(self, lane: Any) -> list[Matcher]:
        """What may answer a live lane."""
        ...

    def why_not_borrowed(self, lane: Any, asked: Description) -> str:
        """Say of identical reads of other lanes why none of them answers."""
        ...

    def refuse(self, lane: Any, key: tuple[str, ...], message: str, asked: object = None) -> NoReturn:
        """Note a miss, and raise it."""
        ...


def look_up(  # noqa: PLR0913, PLR0917 - who asks what
    player: _Player,
    plugin: str,
    lane: _Lane,
    asked: Description,
    instead: Sequence[Description],
    render: Callable[[], object],
) -> Found:
    """Give what answers a live call.

    Args:
        player: the runtime.
        plugin: whose call it is.
        lane: that asks.
        asked: the live call.
        instead: other descriptions under which it may have been recorded.
        render: shows the live call; called only where it was not recorded.

    Raises:
        ReplayMiss: nothing answers it.
        GoesOut: it is to go out.
    """
    for meant in meanings(player, lane, asked):
        others = [one.at(meant.peer) for one in instead] if meant is not asked else instead
        if (found := player.find(lane, meant, others)) is not None:
            if meant.peer:
                lane.peers.settle(asked.peer, meant.peer)
            return found
    return _unmatched(player, plugin, lane, asked, render)


def meanings(player: _Player, lane: _Lane, asked: Description) -> Iterator[Description]:
    """Give what a call may ask, the surest first: of a peer with a new name, the same of recorded ones.

    Args:
        player: the runtime.
        lane: that asks.
        asked: the live call.
    """
    if not asked.peer:
        yield asked
        return
    matchers, peers = player.matchers(lane), lane.peers
    meant = peers.meant(asked, matchers)
    yield meant
    if meant is asked:
        with peers.lock:  # until one of them is settled
            yield from peers.others(asked, matchers)


def _unmatched(player: _Player, plugin: str, lane: _Lane, asked: Description, render: Callable[[], object]) -> Found:
    """Do what the user wants at a call that was not recorded."""
    what, integration, matchers = player.settings.on_miss, seams.integrations[plugin], player.matchers(lane)
    if what == "live" and integration.goes_out:
        player.journal.note("out", lane=lane.id, key=list(asked.key))
        raise GoesOut
    meant = lane.peers.at_address(asked, matchers) if asked.peer else asked
    shown = journal_entries.without_volatile(render(), integration.volatile)
    if isinstance(shown, dict):
        shown = renamed(shown, asked.peer, meant.peer)
    found = None
    if what == "nearest":
        followed = None if lane.recorded is None else lane.recorded.id
        others = (one for one in islice(player.cassette.lanes, _OTHERS) if one.id != followed)
        found = closest_call.closest(matchers, meant, shown, described_calls.at_address(others, meant.key))
    if found is None:
        _miss(player, lane, meant, shown, lane.peers.hint(asked, matchers) if asked.peer else "")
    lane.assumed = True
    if meant.peer:
        lane.peers.settle(asked.peer, meant.peer)
    journal_entries.assumed(player.journal, lane.id, meant.key, found.call.span, found.difference)
    return found.matcher.nearest(found.call), found.matcher


def _miss(player: _Player, lane: _Lane, asked: Description, shown: object, hint: str) -> NoReturn:
    """Raise a miss that shows the closest recorded call, after noting it for the report."""
    what, matchers = " ".join(filter(None, asked.key)), player.matchers(lane)
    closest = player.why_not_borrowed(lane, asked) or closest_call.described(matchers, lane.recorded, asked, shown)
    if lane.entry is None:
        where = f"outside any request{player.entries.stray}"
    elif lane.recorded is not None:
        where = f"lane {lane.id}"
    else:
        where = f"no recorded request matched {lane.entry.name}: {lane.remark}; so only the session answers"
    message = f"no recorded call answers {what} ({where}). {closest}{hint}"
    player.refuse(lane, asked.key, message, journal_entries.bounded(shown) if player.journal.detailed else None)
