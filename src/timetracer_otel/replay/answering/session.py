"""Replay: the runtime that answers calls from a cassette, lane by lane."""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import Any, NoReturn

from opentelemetry.trace import SpanKind

from timetracer_otel import seams, spans
from timetracer_otel.cassette import kinds, model, shelf
from timetracer_otel.cassette.kinds import Chosen
from timetracer_otel.config import Settings
from timetracer_otel.errors import ReplayMiss
from timetracer_otel.nondeterminism import Given
from timetracer_otel.replay.answering import (
    brought_values,
    described_calls,
    followed_session,
    journal_entries,
    trace,
)
from timetracer_otel.replay.answering.determinism import drawn_by_session, given_to_lane, given_to_session, of_process
from timetracer_otel.replay.answering.entries import Entries
from timetracer_otel.replay.answering.facts import SEARCHED, Facts
from timetracer_otel.replay.answering.lookup import look_up, meanings
from timetracer_otel.replay.answering.matching import Match, Matcher, reached
from timetracer_otel.replay.answering.peers import Names, Peers
from timetracer_otel.replay.answering.reads_of_all import ReadsOfAll
from timetracer_otel.replay.answering.recorded_calls import Index, Recorded
from timetracer_otel.replay.answering.script_notes import ScriptNotes
from timetracer_otel.replay.answering.streams import History, LiveStream, WatchedStreams
from timetracer_otel.replay.answering.trace import Tracing
from timetracer_otel.replay.journal import Journal, Outcome
from timetracer_otel.seams import (
    Answer,
    Bequest,
    Call,
    Description,
    Entry,
    Lane,
    Recording,
    Value,
    children,
    lane_of,
    places,
    value_forms,
)
from timetracer_otel.seams.branches import branch_in, here
from timetracer_otel.seams.lanes import process

__all__ = ["Player"]


class ReplayLane(Lane):
    """A live lane and the recorded one that it follows; ``recorded`` is None when no recorded one matched."""

    inherited = False  # whether it ends what another process has begun

    def __init__(self, runtime: Player, entry: Entry | None, chosen: Chosen, index: Index | None) -> None:
        recorded, self.remark = chosen
        super().__init__(recorded.id if recorded is not None else os.urandom(16).hex(), entry)
        self.player = runtime
        self.recorded = recorded
        self.assumed = False
        """Whether a call was answered by one that asked something else: what comes behind it rests on that."""
        self.peers = Peers(runtime.names)
        self._texts: tuple[int, brought_values.Brought] | None = None
        self.matcher = Matcher(index, self._brought) if index is not None else None
        journal = runtime.journal
        self.draws = runtime.given() if entry is None else given_to_lane(recorded, journal)

    def _brought(self, value: Value) -> bool:
        if self.entry is None:
            return False
        pieces = sum(len(came.body) for came in self.entry.messages[:1])
        if self._texts is None or self._texts[0] != pieces:  # the app reads its body while it calls
            self._texts = pieces, brought_values.Brought(self.entry.texts)
        return value in self._texts[1] or self.player.session_knows(value)

    def finish(self, error: BaseException | None) -> None:
        if self.entry is not None and self.player.tracing is not None:
            self.player.tracing.finish(self, self.entry, error)
        if self.matcher is None or self.entry is None:
            return
        journal = self.player.journal
        with self.entered():
            self.player.watched.settle(self.matcher)
        kept = self._is_kept if journal.detailed else None
        unused = journal_entries.unused(self.matcher.unused(), detailed=journal.detailed, kept=kept)
        outcome = journal_entries.outcome(self.entry, error) if journal.detailed else {}
        outcome |= {"inherited": True} if self.inherited else {}
        if journal.accepting:
            outcome["entry"] = self.entry.attributes(error)
        of_children = {"of_children": journal_entries.of_children(found)} if (found := self._of_children()) else {}
        journal.note("end", lane=self.id, request=self.entry.name, unused=unused, **outcome, **of_children)

    def _is_kept(self, call: Recorded) -> bool:
        return self.player.reads.is_kept(call, self.id)

    def _of_children(self) -> Sequence[Recorded]:
        return self.player.of_children.get(self.id, ()) if self.player.journal.detailed else ()


class PluginResponder:
    """Answers one integration's calls.

    Args:
        player: the runtime.
        plugin: the integration's name.
    """

    def __init__(self, player: Player, plugin: str) -> None:
        self._player = player
        self._plugin = plugin
        self._waits = player.settings.pace == "recorded"
        self._histories: dict[str, History] = {}
        self._facts = Facts(plugin, player.all_calls)

    def answer(
        self,
        description: Description,
        asked: Callable[[], object],
        instead: Sequence[Description] = (),
        *,
        recording: Recording = dict,
    ) -> Answer:
        player = self._player
        lane = player.lane()
        found = None if description.peer else player.find(lane, description, instead)
        match, matcher = found or look_up(player, self._plugin, lane, description, instead, asked)
        journal, recorded = player.journal, match.recorded.span
        facts: dict[str, Any] = {"how": match.how, "lane": lane.id, "span": recorded.span_id}
        if lane.assumed:
            facts["assumed"] = True
        if journal.detailed:
            player.reads.asked_by.setdefault(recorded.span_id, lane.id)
            # Where nondeterminism was recorded nothing of a call may differ, a value neither.
            facts |= journal_entries.details(lane, match, description, asked, strict=lane.draws is not None)
        if journal.accepting:
            facts |= journal_entries.as_recorded(match, matcher.bindings, description.peer, recording)
        journal.note("answered", **facts)
        if player.tracing is not None:
            trace.answered(recorded, match.how, asked)
        if spans.LOST in recorded.attributes:
            asked_for = " ".join(filter(None, description.key))
            self.refuse(f"the recorded call that answers {asked_for} could not be written whole: record it again")
        journal.hear(recorded, asked)
        if player.watched:
            player.watched.tell()
        return Answer(recorded, matcher.bindings)

    def refuse(self, message: str) -> NoReturn:
        self._player.refuse(self._player.lane(), (self._plugin,), message)

    def next_in_lane(self, description: Description, *, in_turn: bool = True) -> Answer | None:
        matcher = self._player.matcher_of(self._player.lane())
        for meant in meanings(self._player, self._player.lane(), description):
            if meant.key not in matcher.index.by_key:  # as nearly always
                continue
            upcoming = matcher.next() if in_turn else matcher.upcoming(meant)
            if upcoming is not None and upcoming.description == meant:
                return None if in_turn and matcher.connects_first(upcoming.span) else self.serve(upcoming.span)
        return None

    def is_next(self, is_such: Callable[[Description], bool]) -> bool:
        upcoming = self._player.matcher_of(self._player.lane()).next()
        return upcoming is not None and is_such(upcoming.description)

    def serve(self, recorded: model.Span) -> Answer:
        player, lane = self._player, self._player.lane()
        matcher = player.matcher_of(lane)
        matcher.serve(recorded)
        journal_entries.served(player.journal, lane.id, recorded)
        if player.watched and spans.FOLLOWS not in recorded.attributes:
            player.watched.tell()
        if spans.LOST in recorded.attributes:
            self.refuse(f"the recorded {recorded.name} could not be written whole: record it again")
        return Answer(recorded, matcher.bindings)

    def stream(self, opener: model.Span, name: str = "") -> LiveStream:
        matcher = self._player.matcher_of(self._player.lane())
        return LiveStream(self._history(opener).following(opener, name), matcher, self.serve, self._player.watched)

    def _history(self, call: model.Span) -> History:
        found = self._histories.get(call.lane_id)
        if found is None:
            calls, rests = self._player.siblings(call)
            ours = (span for span in calls if span.text(spans.PLUGIN) == self._plugin)
            found = self._histories[call.lane_id] = History(ours, seams.integrations[self._plugin].stream, rests)
            while len(self._histories) > shelf.LANES_KEPT:
                self._histories.pop(next(iter(self._histories)), None)
        return found

    def wait(self, recorded: model.Span, after: model.Span | None = None) -> float:
        if not self._waits:
            return 0.0
        return max((recorded.end - (recorded.start if after is None else after.end)) / 1e9, 0.0)

    def left_open(self) -> bool:
        recorded = self._player.lane().recorded
        return recorded is not None and recorded.entry is not None and spans.CLIENT_LEFT in recorded.entry.attributes

    def client_gone(self) -> bool:
        return self._player.journal.has_left(self._player.lane().id)

    def hand_out(self, kind: str) -> Iterator[model.Lane]:
        self._player.journal.note("drives", kind=kind)
        return self._handed_out(kind)

    def _handed_out(self, kind: str) -> Iterator[model.Lane]:
        """A broker's client asks for messages whether or not its program takes any: only one that does is a server."""
        for lane in self._player.entries.to_drive(kind, self._plugin):
            self._player.script.is_server()
            yield lane

    def takes_requests(self, kind: str) -> bool:
        return self._player.cassette.catalog.takes_requests(kind)

    def follow(self, entry: Entry) -> ReplayLane | None:
        return self._player.follow(entry)

    def facts(self, name: str) -> str | None:
        if name == spans.IMPORTED and name not in self._facts.known:  # known without reading every lane
            self._facts.known[name] = self._player.cassette.catalog.imported()
        return self._facts.first(name)

    def all_facts(self, name: str) -> list[str]:
        return self._facts.all(name)

    def recorded_with(self, name: str, value: str) -> Iterator[model.Span]:
        player, lane = self._player, self._player.lane()
        own = [] if lane.recorded is None else lane.recorded.calls
        return self._facts.calls_with(name, value, chain(own, player.session_calls), player.matcher_of(lane).used)


class Player:
    """The runtime of mode replay.

    Args:
        settings: the settings in force.
        cassette: what to answer from, on its shelf.
        journal: where to note what happens.
    """

    strips_lane_header = answers = True

    def __init__(self, settings: Settings, cassette: shelf.Shelf, journal: Journal) -> None:
        self.settings = settings
        self.cassette = cassette
        self.journal = journal
        self.tracing: Tracing | None = None
        self.at_entry: Callable[[Entry, model.Lane], None] | None = None
        """A debugger is told of each entry and the lane that it is to follow, before anything of it has happened."""
        self.entries = Entries(cassette, journal.claim)
        self._responders: dict[str, PluginResponder | None] = {}
        self.watched = WatchedStreams()
        self._indexes: OrderedDict[str, Index] = OrderedDict()
        self._lock = threading.RLock()
        calls = [span for session in cassette.sessions.values() for span in session.calls]
        self.session_calls = sorted(calls, key=lambda span: span.start)
        self.reads = ReadsOfAll(cassette, self.session_calls)
        self._drawn = [(session, drawn_by_session(session)) for session in cassette.sessions.values()]
        self.names = Names(
            settings.hosts, self._was_recorded, lambda name, peer: journal.note("stands_for", name=name, peer=peer)
        )
        self._followed = self._follow(children.parent(), children.place())
        self.session_lane = self._new_session()
        self.script = ScriptNotes(journal)

    def _after_fork(self) -> None:
        if seams.active() is not self:  # it was uninstalled, and what is called at a fork cannot be taken back
            return
        self._lock = threading.RLock()
        self.cassette.forked()
        self.entries.forked()
        if process.stands_in:
            return
        self._followed = self._follow(self.follows, places.forked())
        children.become_parent(self.follows)
        self.session_lane = self._new_session()
        self.note_entry()
        self.script.forked(self.follows)

    def note_entry(self) -> None:
        """Note which entry this process was started for, if one was: its calls are compared with that."""
        if self.journal.detailed and (entry := places.entry()):
            self.journal.note("started_for", lane=self.session_lane.id, entry=entry)

    @property
    def follows(self) -> str:
        """What the children of this process are told: the recorded session that it follows."""
        return self._followed.id if self._followed is not None else "replay"

    def _follow(self, parent: str | None, place: str) -> model.Lane | None:
        sessions = self.cassette.sessions
        if parent is None:
            return followed_session.root_of(sessions, self.journal)
        return followed_session.child_of(parent, place, sessions, self.journal)

    def _new_session(self) -> ReplayLane:
        """What a forked worker asks at its start it asks of the whole session again: its parent used other copies."""
        first = self._followed
        calls = sorted(self.session_calls, key=lambda span: first is not None and span.lane_id != first.id)
        unheld = described_calls.unheld(self.cassette.sessions.values())
        index = Index(described_calls.matchable(calls), lambda _value: False, unheld=unheld)
        return ReplayLane(self, None, Chosen(None), index)

    @cached_property
    def of_children(self) -> Mapping[str, Sequence[Recorded]]:
        """The calls of the recorded processes that entries started, by entry."""
        found: dict[str, list[Recorded]] = defaultdict(list)
        entries = {one.id: followed_session.entry_of(one) for one in self.cassette.sessions.values()}
        unheld = described_calls.unheld(self.cassette.sessions.values())
        calls = chain(described_calls.matchable(self.session_calls), unheld) if any(entries.values()) else ()
        for call in calls:
            if entry := entries[call.span.lane_id]:
                found[entry].append(call)
        return found

    def given(self) -> Given | None:
        """What this process draws outside any entry.

        Where it follows a recorded one, what that drew, and its pool for work that it may get; a server goes on with
        what the others did. One that follows none is given what all of them drew.

        Raises:
            CassetteError: what was recorded is damaged.
        """
        every, own = self._drawn, self._followed
        if own is None:
            return given_to_session(every, self.journal)
        first = of_process(own, every)
        alone = None if self.cassette.catalog.lanes else given_to_session(first, self.journal)
        others = [one for one in every if one[0] is not own]
        return alone if alone is not None else given_to_session([*first[:1], *others], self.journal)

    def session(self) -> ReplayLane:
        """The session of this process."""
        return self.session_lane

    def lane(self) -> ReplayLane:
        """The live lane that the current code belongs to."""
        lane = lane_of()
        return lane if isinstance(lane, ReplayLane) else self.session_lane

    def matcher_of(self, lane: ReplayLane) -> Matcher:
        """What answers a live lane; where no recorded one matched, the session's."""
        matcher = lane.matcher or self.session_lane.matcher
        assert matcher is not None  # noqa: S101 - the session's lane always has one
        return matcher

    def open_lane(self, entry: Entry, bequest: Bequest | None = None) -> ReplayLane:
        """Begin an entry."""
        if not kinds.is_run_again(entry.kind):
            self.script.is_server()
        recorded, remark = chosen = self.entries.choose(entry)
        if recorded is not None and self.at_entry is not None:
            self.at_entry(entry, recorded)
        lane = ReplayLane(self, entry, chosen, None if recorded is None else self._index(recorded))
        lane.inherited = told = bequest is not None and bequest.is_heir
        self.journal.note("lane", request=entry.name, recorded=recorded and lane.id, remark=remark, inherited=told)
        return lane

    def follow(self, entry: Entry) -> ReplayLane | None:
        """Begin an entry that nothing but the app's own call started; None when none of the kind was recorded."""
        recorded, remark = chosen = self.entries.follow(entry)
        if recorded is None:
            return None
        self.journal.note("lane", request=entry.name, recorded=recorded.id, remark=remark)
        return ReplayLane(self, entry, chosen, self._index(recorded))

    def wants_whole(self, entry: Entry) -> bool:
        """Whether the entry's seam must read it to its end before it opens the lane."""
        return self.at_entry is not None or self.entries.wants_whole(entry)

    def begin(
        self, name: str, attributes: Mapping[str, spans.Attribute], kind: SpanKind = SpanKind.CLIENT
    ) -> Call | None:
        """Start the span of a call; a replay records none."""
        return None

    def responder(self, plugin: str) -> PluginResponder | None:
        """What answers the calls of an integration; None when they go out."""
        if plugin not in self._responders:
            names = set(seams.integrations[plugin].names)
            mocked = not self.settings.mock_plugins or bool(names & set(self.settings.mock_plugins))
            live = bool(names & set(self.settings.live_plugins)) or not mocked
            self._responders.setdefault(plugin, None if live else PluginResponder(self, plugin))  # one for all threads
        return self._responders[plugin]

    def find(
        self, lane: ReplayLane, asked: Description, instead: Sequence[Description] = ()
    ) -> tuple[Match, Matcher] | None:
        """Go down the ladder: this lane, the session, an identical read of another lane.

        Of calls that were recorded under several of the descriptions, an earlier one answers.
        """
        own, session = lane.matcher, self.session_lane.matcher
        assert session is not None  # noqa: S101 - the session's lane always has one
        for other in instead:
            if other.kept_twice and session.upcoming(other) is None:
                continue  # this process has asked it as often as the recorded one
            if any(matcher.comes_first(other, asked) for matcher in self.matchers(lane)):
                return self.find(lane, other)
        branch = here()
        path = "" if branch is None else branch_in(lane, branch)
        if own is not None and (match := own.match(asked, branch=path)) is not None:
            if asked.kept_twice and (twin := session.upcoming(asked)) is not None:
                session.serve(twin.span)
            return match, own
        if own is not session and (match := session.match(asked, may_bind=False)) is not None:
            return Match(match.recorded, "session again" if match.how == "repeated" else "session"), session
        if asked.read and own is not None and (read := self._borrowed(lane, asked)) is not None:
            return Match(read, "borrowed"), own
        return None

    def _borrowed(self, lane: ReplayLane, asked: Description) -> Recorded | None:
        lender = self.reads.lending.lender(asked, reached(lane.recorded, lane.matcher))
        found = self.cassette.lane(lender.lane) if lender is not None else None
        if lender is None or found is None:
            return None
        lent = self._index(found).by_span.get(lender.span)
        return lent if lent is not None and lent.description == asked else None

    def matchers(self, lane: ReplayLane) -> list[Matcher]:
        """What may answer a live lane: that of the lane that it follows, and the session's."""
        own, session = lane.matcher, self.session_lane.matcher
        return [one for one in (own, None if session is own else session) if one is not None]

    def why_not_borrowed(self, lane: ReplayLane, asked: Description) -> str:
        """Say of identical reads of other lanes why none of them answers; empty when there are none."""
        return self.reads.lending.why_not(asked) if asked.read and lane.matcher is not None else ""

    def refuse(self, lane: ReplayLane, key: tuple[str, ...], message: str, asked: object = None) -> NoReturn:
        """Note a miss for the report, and raise it."""
        journal_entries.missed(self.journal, lane.id, key, message, asked, assumed=lane.assumed)
        raise ReplayMiss(message)

    def session_knows(self, value: Value) -> bool:
        """Whether a reply of the recorded session holds a value."""
        return not self._session_values.isdisjoint(value_forms.known_by(value))

    @cached_property
    def _session_values(self) -> frozenset[Value]:
        matcher = self.session_lane.matcher
        calls = chain(matcher.index.calls, matcher.index.unheld) if matcher is not None else ()
        return frozenset(key for call in calls for value in call.reply_values for key in value_forms.known_by(value))

    def _was_recorded(self, peer: str) -> bool:
        return peer in self._some_peers

    @cached_property
    def _some_peers(self) -> frozenset[str]:
        """The peers of the first calls of the cassette, in whichever lane."""
        calls = described_calls.descriptions(islice(self.all_calls(), SEARCHED))
        return frozenset(description.peer for _, description in calls)

    def siblings(self, recorded: model.Span) -> tuple[Sequence[model.Span], Mapping[str, model.Followers]]:
        """The calls of the lane or session that a recorded call belongs to: those that are held, and long streams."""
        lane = self.cassette.lane(recorded.lane_id) or self.cassette.sessions.get(recorded.lane_id)
        return (self.session_calls, {}) if lane is None else (lane.calls, lane.followers)

    def all_calls(self) -> Iterable[model.Span]:
        """Every recorded call, the session's first."""
        yield from self.session_calls
        for lane in self.cassette.lanes:
            yield from lane.calls

    def outcome(self) -> Outcome:
        """What this process did so far; empty when a launcher keeps the journals."""
        return Outcome.of(iter(self.journal.kept))

    def print_outcome(self) -> None:
        """Say it to people, at exit."""
        sys.stderr.write(self.outcome().as_text() + "\n")

    def _index(self, lane: model.Lane) -> Index:
        with self._lock:
            if lane.id not in self._indexes:
                texts = brought_values.by_lane(lane)
                began = lane.spans[0].start if lane.entry is None else lane.entry.start
                self._indexes[lane.id] = Index(
                    described_calls.matchable(lane.calls),
                    lambda value: value in texts or self.session_knows(value),
                    began,
                    described_calls.unheld([lane]),
                )
            self._indexes.move_to_end(lane.id)
            while len(self._indexes) > shelf.LANES_KEPT:
                self._indexes.popitem(last=False)
            return self._indexes[lane.id]
