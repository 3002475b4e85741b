"""MySQL in replay: what a server says on a connection that reaches nowhere, from the recorded calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families import failures
from timetracer_otel.families.dbapi.place import Place
from timetracer_otel.families.mysql import asked as questions
from timetracer_otel.families.mysql import course, greeting, matching, rendering, statements, told, wire
from timetracer_otel.families.mysql.asked import NAMES, QUERY, SET_OPTION, Asked
from timetracer_otel.families.mysql.course import Course, Kind
from timetracer_otel.families.mysql.exchange import CLOSED, SENDING
from timetracer_otel.families.mysql.greeting import Known
from timetracer_otel.families.mysql.watching import IN_TRANSACTION, looking_after
from timetracer_otel.families.mysql.wire import Packet, Split
from timetracer_otel.families.nowhere import END, Dialogue, Reply, Say, Wait
from timetracer_otel.families.nowhere.recorded import failure
from timetracer_otel.seams import Answer, Responder

__all__ = ["Server", "recorded_connections"]

_QUIT: Final = 1
_AUTOCOMMIT: Final = 0x0002
_SETS_AUTOCOMMIT: Final = re.compile(r"(?i)\bautocommit\s*=\s*(\w+)")
_SETS_MODES: Final = re.compile(r"(?i)\bsql_mode\s*=")
_NO_BACKSLASHES: Final = 0x0200
"""Whether a backslash means nothing in a text, by which drivers choose how they quote."""
_SWITCHES: Final = re.compile(r"(?i)\s*SET\s+(?:SESSION\s+|@@(?:session\.)?)?autocommit\s*=\s*\w+\s*;?\s*")
"""Says only who ends transactions; outside of one nothing comes of it before the next statement."""
_known: dict[int, tuple[Responder, Known]] = {}
"""By the address of a responder, with that, so that the address is no other's."""


def recorded_connections(responder: Responder) -> Known:
    """Give what was recorded of connections, each once in a replay.

    Args:
        responder: gives the recorded calls.
    """
    found = _known.get(id(responder))
    if found is None or found[0] is not responder:
        _known.clear()
        found = _known[id(responder)] = responder, Known(responder.all_facts(questions.SERVER))
    return found[1]


class Server(Dialogue[bytes]):
    """What a server answers.

    Args:
        plugin: the integration's name.
        responder: gives the recorded calls.
        peer: the server and the database that the client connects to.
        offers_tls: whether it offers TLS, which then must change nothing.
    """

    UNANSWERED: Final = "the recording ended before this statement was answered: record it to its end"

    def __init__(self, plugin: str, responder: Responder, peer: str, *, offers_tls: bool = True) -> None:
        self._offers_tls = offers_tls
        self._plugin = plugin
        self._responder = responder
        self._split = Split()
        self._known = recorded_connections(responder)
        self._facts = self._known.next()
        self._status = int(self._facts["status"])
        self._place = Place(peer=self._recorded_peer(peer))
        self._greeted = self._logged_in = self._broken = False
        self._connected = False
        self._sets_up = True
        self._was_there = False
        """Whether the recorded connection was there before its lane, so that it was set up by calls."""
        self._loading: tuple[Asked, list[bytes]] | None = None
        self._partial = False
        self._tail: Iterable[Reply[bytes]] = ()
        """What comes when the client waits, after what is said at once."""

    def connected(self) -> None:
        """Take that the driver is done with connecting: what comes now the program asks."""
        self._connected = True

    @property
    def is_partial(self) -> bool:
        """Whether what is said last was not recorded to its end."""
        return self._partial

    @property
    def is_of_the_past(self) -> bool:
        """Whether its replay is over."""
        return seams.responder(self._plugin) is not self._responder

    def greet(self, say: Say[bytes]) -> Iterable[Reply[bytes]]:
        """Greet the client, as a server does; not again where it goes on in TLS, on what it takes for another one."""
        greeted, self._greeted = self._greeted, True
        return () if greeted else (greeting.made(self._facts, offers_tls=self._offers_tls),)

    def feed(self, data: bytes) -> Iterable[Reply[bytes]]:
        """Take what the client sends; what it asks is matched at once.

        Raises:
            ReplayMiss: nothing recorded answers it; the connection is then of no use.
            OSError: sending failed in the recording, or the replay is over.
        """
        if self._broken:
            return (END,)
        self._tail = ()
        if self.is_of_the_past:
            raise BrokenPipeError("this connection belongs to a replay that is over")
        try:
            said = list(self._fed(data))
            return chain(said, self._tail)
        except Exception:
            self._broken = True
            raise

    def awaited(self) -> Iterable[Reply[bytes]]:
        """Say that more was not recorded, where an answer was read to its end by nobody."""
        if self._partial:
            self._responder.refuse(self.UNANSWERED)
        return ()

    def _fed(self, data: bytes) -> Iterator[Reply[bytes]]:
        for packet in self._split.packets(data):
            if self._loading is not None:
                yield from self._load(packet)
            elif not self._logged_in:
                if not greeting.is_tls_request(packet.payload):
                    self._logged_in = True
                    yield wire.frame(wire.ok(self._status), packet.number + 1)
            else:
                yield from self._command(packet)

    def _recorded_peer(self, peer: str) -> str:
        """The recorded database that a live one stands for: itself, the only one, or the only one of that name."""
        recorded = self._known.peers
        if peer in recorded or len(recorded) == 1:
            return peer if peer in recorded else recorded[0]
        named = [one for one in recorded if one.rpartition("/")[2] == peer.rpartition("/")[2]]
        return named[0] if len(named) == 1 else peer

    # What the client asks.

    def _command(self, packet: Packet) -> Iterator[Reply[bytes]]:
        command = packet.payload[0]
        if command == _QUIT:
            yield END
            return
        if course.is_silent(command):
            return
        if command not in NAMES:
            self._responder.refuse(f"{questions.kind(command)} are not recorded: ask by cursors, in text")
        asked = Asked(command, packet.payload[1:], place=self._place)
        if self._is_upkeep(asked):
            yield from self._looks_after(asked)
        elif self._switches(asked):
            yield from self._switched(asked)
        elif (begins := self._file_wanted(asked)) is not None:
            self._loading = asked, []
            yield begins
        else:
            yield from self._answer(asked, self._find(asked), 1)

    def _is_upkeep(self, asked: Asked) -> bool:
        if not self._connected:
            return True
        is_upkeep, self._sets_up = looking_after(
            asked.command, asked.compact, inside=self._place.inside, sets_up=self._sets_up
        )
        return is_upkeep

    def _looks_after(self, asked: Asked) -> Iterator[Reply[bytes]]:
        """Answer what is no call: yes, unless it went otherwise in its turn."""
        found = None
        if self._connected:
            took = self._responder.next_in_lane
            found = took(matching.describe(asked, aside=True))
            if found is None and matching.sets_up(asked):
                found = took(matching.describe(asked, first=not self._was_there))
                self._was_there = self._was_there or found is not None
        if found is not None:
            yield from self._answer(asked, found, 1)
        else:
            yield self._agrees(asked)

    def _switches(self, asked: Asked) -> bool:
        return asked.command == QUERY and not self._place.inside and _SWITCHES.fullmatch(asked.compact) is not None

    def _switched(self, asked: Asked) -> Iterator[Reply[bytes]]:
        """Answer who ends transactions; the recorded connection may have been new, where that is no call."""
        forms = matching.describe(asked), matching.describe(asked, first=True)
        took = (self._responder.next_in_lane(one, in_turn=False) for one in forms)
        found = next((one for one in took if one is not None), None)
        if found is not None:
            yield from self._answer(asked, found, 1)
        else:
            yield self._agrees(asked)

    def _agrees(self, asked: Asked) -> bytes:
        if sets := _SETS_AUTOCOMMIT.search(asked.compact):
            on = sets[1].lower() in {"1", "on", "true"}
            self._status = self._status | _AUTOCOMMIT if on else self._status & ~_AUTOCOMMIT
        if _SETS_MODES.search(asked.compact):
            plain = "NO_BACKSLASH_ESCAPES" in asked.compact.upper()
            self._status = self._status | _NO_BACKSLASHES if plain else self._status & ~_NO_BACKSLASHES
        says = wire.eof(self._status) if asked.command == SET_OPTION else wire.ok(self._status)
        return wire.frame(says, 1)

    # Files of the client.

    def _file_wanted(self, asked: Asked) -> bytes | None:
        """How the server asks for a file of the client; None where it does not, or refuses the statement at once."""
        name = statements.is_file_loaded(asked.compact)
        if name is None:
            return None
        for span in self._responder.recorded_with(questions.STATEMENT, questions.digest(asked.compact)):
            if questions.FILE not in span.attributes:
                return None
            return wire.frame(b"\xfb" + name.encode("utf-8", "surrogateescape"), 1)
        return None

    def _load(self, packet: Packet) -> Iterator[Reply[bytes]]:
        if self._loading is None:
            return
        asked, pieces = self._loading
        if packet.payload:
            pieces.append(packet.payload)
            return
        self._loading = None
        asked.file = b"".join(pieces)
        yield from self._answer(asked, self._find(asked), packet.number + 1)

    # What is answered.

    def _find(self, asked: Asked) -> Answer:
        return self._responder.answer(
            matching.describe(asked),
            lambda: rendering.shown(asked),
            matching.describe_otherwise(asked),
            recording=lambda: questions.encode(asked),
        )

    def _answer(self, asked: Asked, answer: Answer, number: int) -> Iterator[Reply[bytes]]:
        recorded = answer.recorded
        question = questions.read(recorded)
        if question is not None:
            self._place = self._place._replace(
                connection=question.place.connection, transaction=question.place.transaction
            )
        if recorded.attributes.get(SENDING):
            raise failures.error_of(self._responder, recorded.text(spans.ERROR) or "")
        if wait := self._responder.wait(recorded):
            yield Wait(wait)
        said = told.rebound(recorded, answer.bindings)
        if asked.file is not None:
            said = _after_file(said, number)
        if said:
            yield said
        ended = self._passes(asked, recorded)
        if spans.ERROR in recorded.attributes:
            self._tail = failure(self._responder, recorded)
        elif recorded.attributes.get(CLOSED):
            yield END
        elif not said:
            self._responder.refuse(self.UNANSWERED)
        else:
            self._partial = not ended

    def _passes(self, asked: Asked, recorded: Span) -> bool:
        """Know where the connection stands after an answer; whether that was at its end."""
        went = Course(asked.command)
        followed = course.Following(went)
        followed.feed(recorded.payload(spans.RESPONSE) or b"")
        if went.status is not None:
            self._status = self._as_it_stands(asked, went.status) if went.error is None else went.status
        inside = bool(self._status & IN_TRANSACTION)
        wrote = inside and (self._place.wrote or statements.writes(asked.compact))
        self._place = self._place._replace(inside=inside, wrote=wrote)
        return went.ended

    def _as_it_stands(self, asked: Asked, status: int) -> int:
        """A read ends no transaction, and one that commits by itself begins none, whoever had asked what answers."""
        if asked.command != QUERY or not (statements.is_catalog(asked.compact) or statements.is_read(asked.compact)):
            return status
        commits = self._status & _AUTOCOMMIT or statements.is_catalog(asked.compact)
        begun = 0 if commits else status & IN_TRANSACTION
        inside = IN_TRANSACTION if self._place.inside else begun
        return status & ~(IN_TRANSACTION | _AUTOCOMMIT) | inside | self._status & _AUTOCOMMIT


def _after_file(said: bytes, number: int) -> bytes:
    """What the server said after it had the file, in the live numbers of packets."""
    pieces: list[bytes] = []
    after = False
    for kind, (_, payload) in course.follow(QUERY, wire.packets(said)):
        if after:
            pieces.append(wire.frame(payload, number))
            number += 1
        after = after or kind is Kind.FILE
    return b"".join(pieces)
