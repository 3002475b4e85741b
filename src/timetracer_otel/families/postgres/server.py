"""PostgreSQL in replay: what a server says on a connection that reaches nowhere, from the recorded exchanges."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final, NoReturn

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families import failures
from timetracer_otel.families.nowhere import END, Dialogue, Fail, Reply, Say, Wait
from timetracer_otel.families.nowhere.recorded import PATIENCE
from timetracer_otel.families.postgres import asked as questions
from timetracer_otel.families.postgres import matching, pids, rendering, setting_up, statements, told, wire
from timetracer_otel.families.postgres.asked import UNKNOWN, Asked, Described, Place
from timetracer_otel.families.postgres.exchange import CANCELLED, CLOSED, Remembered
from timetracer_otel.families.postgres.wire import Message, Split
from timetracer_otel.seams import Description, Responder
from timetracer_otel.seams.brokering import is_brokering

__all__ = ["Portal", "Server", "Statement"]

_IDLE: Final = b"I"
_DEFAULTS: Final = {
    "server_version": "15.0", "server_encoding": "UTF8", "client_encoding": "UTF8", "integer_datetimes": "on",
    "DateStyle": "ISO, MDY", "IntervalStyle": "postgres", "standard_conforming_strings": "on", "TimeZone": "UTC",
    "application_name": "",
}  # fmt: skip
_ASKED_FOR: Final = "application_name", "TimeZone", "standard_conforming_strings", "IntervalStyle"
"""What is as the client asks for it when it connects."""
_AUTHENTICATED: Final = wire.frame(b"R", bytes(4))
_NOTHING: Final = wire.frame(b"t", bytes(2)) + wire.frame(b"n")
"""Describes a statement without parameters that gives no rows."""


@dataclass(slots=True)
class Statement:
    """A statement that the client has prepared."""

    sql: str
    types: tuple[int, ...]
    name: str = ""
    described: Described = UNKNOWN


@dataclass(slots=True)
class Portal:
    """A statement with its parameters."""

    statement: Statement
    bound: wire.Bound


@dataclass(slots=True)
class _Batch:
    """What the client has sent since it was told that the server is ready."""

    prepares: Statement | None = None
    describes: bool = False
    closes: int = 0
    binds: list[Portal] = field(default_factory=list)
    fetches: Portal | None = None
    executes: bool = False
    limit: int = 0
    failed: list[Message] | None = None
    """What is still to be said of a statement that could not be prepared."""


class Server(Dialogue[bytes]):
    """What a server answers.

    Args:
        responder: gives the recorded calls.
        peer: the server and the database that the client connects to.
        secret: the key by which the client cancels what the connection does.
    """

    UNANSWERED: Final = "the recording ended before this statement was answered: record it to its end"

    def __init__(self, responder: Responder, peer: str, secret: int = 0) -> None:
        self._responder = responder
        self._secret = secret
        self._split = Split()
        self._started = False
        self._broken = False
        self._statements: dict[str, Statement] = {}
        self._portals: dict[str, Portal] = {}
        self._described_before: Remembered[tuple[str, tuple[int, ...]], Described] = Remembered()
        """What the client was told of a statement, which it prepares once more where it gives it no name."""
        self._cursors: dict[str, str] = {}
        """The recorded cursor that each one of the client stands for, see :attr:`Asked.cursor`."""
        self._batch = _Batch()
        self._copying: Asked | None = None
        self._known = [json.loads(text) for text in responder.all_facts(questions.SERVER)]
        self._place = Place(peer=self._recorded_peer(peer))
        self._sets_up = True
        """Whether the program has asked nothing of its own yet, see :mod:`setting_up`."""
        self._cancelled = False
        self._held: Iterable[Reply[bytes]] = ()
        """What is said only when the client cancels."""
        self._parameters: dict[str, str] = {}
        self._changed: dict[str, str] = {}
        """Parameters that are no longer what they were when the client connected."""
        self._say: Say[bytes] = lambda _reply: None

    def greet(self, say: Say[bytes]) -> Iterable[Reply[bytes]]:
        """Say nothing before it is asked."""
        self._say = say
        return ()

    def feed(self, data: bytes) -> Iterable[Reply[bytes]]:
        """Take what the client sends; what it asks is matched at once.

        Raises:
            ReplayMiss: nothing recorded answers it; the connection is then of no use.
        """
        if self._broken:
            return (END,)
        self._held = ()
        try:
            said = list(self._fed(data))
        except Exception:
            self._broken = True
            raise
        return chain(said, self._held)

    def cancel(self) -> None:
        """Break off what is under way, which the client has asked for on another connection."""
        self._cancelled = True
        self._say(END if self._broken else Wait(0))  # after a miss the client may wait for what never comes

    def _fed(self, data: bytes) -> Iterator[Reply[bytes]]:
        if not self._started:
            body = self._split.startup(data)
            if body is None:
                return
            if int.from_bytes(body[:4]) in {wire.SSL, wire.GSS}:
                yield b"N"
                return
            self._started, data = True, b""
            yield from self._welcome(wire.startup_parameters(body))
        for kind, body in self._split.messages(data):
            step = _STEPS.get(kind)
            if step is None:
                self._responder.refuse(f"the message {kind!r} of PostgreSQL's protocol is not one that is recorded")
            yield from getattr(self, step)(body)

    def _welcome(self, startup: dict[str, str]) -> Iterator[bytes]:
        facts = self._facts()
        parameters = _DEFAULTS | facts.get("parameters", {})
        parameters |= {name: startup[name] for name in _ASKED_FOR if name in startup}
        self._parameters = parameters
        statuses = [wire.parameter_status(name, value) for name, value in parameters.items()]
        pid = pids.next_pid(self._responder, self._known, self._place.peer)
        key = wire.frame(b"K", pid.to_bytes(4) + self._secret.to_bytes(4))
        yield b"".join((_AUTHENTICATED, *statuses, key, wire.ready(_IDLE)))

    def _facts(self) -> dict[str, Any]:
        """What was recorded of a connection: one to the same database, else any."""
        same = (one for one in self._known if one.get("peer") == self._place.peer)
        found: dict[str, Any] = next(same, self._known[0] if self._known else {})
        return found

    def _recorded_peer(self, peer: str) -> str:
        """The recorded database that a live one stands for: itself, the only one, or the only one of that name."""
        recorded = list(dict.fromkeys(one["peer"] for one in self._known))
        if peer in recorded or len(recorded) == 1:
            return peer if peer in recorded else recorded[0]
        named = [one for one in recorded if one.rpartition("/")[2] == peer.rpartition("/")[2]]
        return named[0] if len(named) == 1 else peer

    # What the client says, message by message.

    def _ends(self, _body: bytes) -> Iterator[Reply[bytes]]:
        yield END

    def _query(self, body: bytes) -> Iterator[Reply[bytes]]:
        asked = Asked("query", wire.text(body)[0])
        if statements.is_upkeep(asked.sql) or is_brokering():
            yield self._tidied(asked.sql)
            return
        if statements.outline(asked.sql).verb == "COPY" and (begins := self._copy_begins(asked)):
            self._copying = asked
            yield begins
            return
        yield from self._answer(asked)

    def _tidied(self, sql: str) -> bytes:
        """Answer what drivers and pools send to tidy a connection up, which may set its parameters back."""
        if statements.is_empty(sql):
            return wire.frame(b"I") + self._ready(self._status)
        back: list[bytes] = []
        if not sql.startswith("DEALLOCATE"):
            back = [wire.parameter_status(name, self._parameters.get(name, "")) for name in self._changed]
            self._changed = {}
        tag = sql.split(maxsplit=1)[0] if sql.startswith("D") else "RESET"
        if setting_up.is_around(sql):
            tag = statements.outline(sql).verb
            return wire.command_complete(tag) + self._ready(b"T" if tag == "BEGIN" else _IDLE)
        return b"".join(back) + wire.command_complete(tag) + self._ready(self._status)

    def _copy_begins(self, asked: Asked) -> bytes:
        """How the server asks for the data of a COPY, if it does and the statement is not refused."""
        described = self._described(asked)
        return described.messages if described is not None and described.messages[:1] == b"G" else b""

    def _parse(self, body: bytes) -> Iterator[Reply[bytes]]:
        name, sql, types = wire.parsed(body)
        described = self._described_before.get((sql, types), UNKNOWN)
        self._statements[name] = self._batch.prepares = Statement(sql, types, name, described)
        return iter(())

    def _describe(self, body: bytes) -> Iterator[Reply[bytes]]:
        kind, name = wire.named(body)
        if kind == b"S":
            self._batch.describes = True
            self._batch.prepares = self._batch.prepares or self._statement(name)
        return iter(())

    def _bind(self, body: bytes) -> Iterator[Reply[bytes]]:
        bound = wire.bound(body)
        portal = Portal(self._statement(bound.statement), bound)
        self._portals[bound.portal] = portal
        self._batch.binds.append(portal)
        return iter(())

    def _execute(self, body: bytes) -> Iterator[Reply[bytes]]:
        name, self._batch.limit = wire.executed(body)
        self._batch.executes = True
        if not self._batch.binds:
            if name not in self._portals:
                self._responder.refuse("a portal is executed that this connection has not bound")
            self._batch.fetches = self._portals[name]
        return iter(())

    def _close(self, body: bytes) -> Iterator[Reply[bytes]]:
        kind, name = wire.named(body)
        (self._statements if kind == b"S" else self._portals).pop(name, None)
        self._batch.closes += 1
        return iter(())

    def _flush(self, _body: bytes) -> Iterator[Reply[bytes]]:
        statement = self._batch.prepares
        if statement is not None:
            yield from self._prepare(statement)

    def _sync(self, _body: bytes) -> Iterator[Reply[bytes]]:
        batch, self._batch = self._batch, _Batch()
        if batch.failed is not None:
            yield self._passed(batch.failed)
            return
        asked = self._asked(batch)
        if asked is not None and is_brokering():
            yield wire.frame(b"2") + self._tidied(asked.sql)
            return
        if asked is None:
            yield wire.frame(b"3") * batch.closes + self._ready(self._status)
            return
        yield wire.frame(b"1") if batch.prepares is not None else b""
        yield from self._answer(asked)

    def _data(self, body: bytes) -> Iterator[Reply[bytes]]:
        if self._copying is not None:
            self._copying.take(b"d", body)
        return iter(())

    def _done(self, body: bytes) -> Iterator[Reply[bytes]]:
        return self._copied(b"c", body)

    def _refused(self, body: bytes) -> Iterator[Reply[bytes]]:
        return self._copied(b"f", body)

    def _copied(self, kind: bytes, body: bytes) -> Iterator[Reply[bytes]]:
        asked, self._copying = self._copying, None
        if asked is None:
            return  # the server ignores what comes after an error
        asked.take(kind, body)
        yield from self._answer(asked)

    # What it asks.

    def _statement(self, name: str) -> Statement:
        if name not in self._statements:
            self._responder.refuse("a statement is used that this connection has not prepared")
        return self._statements[name]

    def _asked(self, batch: _Batch) -> Asked | None:
        if batch.fetches is not None:
            return self._of("fetch", [batch.fetches], batch.limit)
        if batch.binds:
            return self._of("execute" if batch.executes else "bind", batch.binds, batch.limit)
        return None

    def _of(self, operation: str, portals: list[Portal], limit: int) -> Asked:
        statement = portals[0].statement
        sets = [one.bound._replace(portal="", statement="") for one in portals]
        return Asked(operation, statement.sql, statement.types, sets, limit, described=statement.described)

    def _prepare(self, statement: Statement) -> Iterator[bytes]:
        """Describe a statement as it was described, wherever that was recorded; or refuse it as it was refused."""
        asked = Asked("prepare", statement.sql, statement.types)
        described = Described(_NOTHING) if is_brokering() else self._described(asked)
        if described is not None:
            statement.described = self._described_before[statement.sql, statement.types] = described
            yield wire.frame(b"1") + described.messages
            self._batch.prepares = None
            return
        *said, ready = told.messages(self._recorded(asked)[0])
        self._batch.failed = [(ready[0], wire.frame(*ready))]
        yield b"".join(wire.frame(*one) for one in said)

    def _described(self, asked: Asked) -> Described | None:
        """How a statement was described; None where it was refused, or nothing is known of it."""
        kept: Span | None = None
        for span in self._responder.recorded_with(questions.STATEMENT, statements.digest(asked.sql)):
            if questions.ASIDE in span.attributes:
                kept = span
            elif questions.DESCRIBED in span.attributes:
                return questions.read_described(span)
            elif _operation(span) == asked.operation:
                return None
        return None if kept is None else questions.read_described(kept)

    # What is answered.

    def _recorded(self, asked: Asked) -> tuple[Span, Iterator[Message]]:
        """Find the recorded call that answers, and what it was told."""
        asked.place = self._place
        name, declares = statements.cursor_of(asked.sql)
        if name and not declares:
            asked.cursor = self._cursors.get(name, f"{self._place.connection} {name}")
        others = matching.describe_otherwise(asked)
        if len(asked.sets) > 1:
            others = (*others, *self._broken_off(asked))
        if self._sets_up and setting_up.is_around(asked.sql):
            others = (matching.describe(replace(asked, first=True)), *others)
        self._sets_up = self._sets_up and setting_up.goes_on(asked.sql)
        answer = self._responder.answer(
            matching.describe(asked), lambda: rendering.shown(asked), others, recording=lambda: questions.encode(asked)
        )
        recorded = answer.recorded
        question = questions.read(recorded)
        if question is not None and not _brings(asked, question):
            self._responder.refuse(f"the data of {asked.sql!r} is not what was recorded: record it again")
        if question is not None and asked.sets and _kinds(question) != _kinds(asked):
            self._responder.refuse(
                f"the columns of {asked.sql!r} were of other types when it was prepared: record it again"
            )
        if question is not None and name in self._cursors and question.cursor != asked.cursor and not declares:
            self._responder.refuse(f"{asked.sql!r} asks this cursor for more than was recorded of it: record it again")
        if question is not None and declares:
            made = statements.cursor_of(question.sql)[0]
            self._cursors[name] = f"{question.place.connection} {made}"
        if question is not None:
            self._place = self._place._replace(
                connection=question.place.connection, transaction=question.place.transaction
            )
        return recorded, self._as_it_stands(asked, told.rebound(recorded, answer.bindings))

    def _as_it_stands(self, asked: Asked, said: Iterator[Message]) -> Iterator[Message]:
        """A read leaves a transaction as it is, also where one answers that was asked outside of it, or in another."""
        is_read, failed = statements.is_read(asked.sql) or statements.is_catalog(asked.sql), False
        for kind, body in said:
            failed = failed or kind == b"E"
            stays = is_read and not failed and kind == b"Z"
            yield (kind, wire.ready(self._status)) if stays else (kind, body)

    def _broken_off(self, asked: Asked) -> Iterator[Description]:
        """Describe an ``executemany`` by its first rows, as many as were recorded of one that the server refused.

        The client stops when it hears of that, which in a replay is when all is sent.
        """
        for span in self._responder.recorded_with(questions.STATEMENT, statements.digest(asked.sql)):
            question = questions.read(span)
            if question is None or not 0 < len(question.sets) < len(asked.sets):
                continue
            if any(kind == b"E" for kind, _ in told.messages(span)):
                yield matching.describe(replace(asked, sets=asked.sets[: len(question.sets)]))
                return

    def _answer(self, asked: Asked) -> Iterator[Reply[bytes]]:
        recorded, messages = self._recorded(asked)
        said = list(messages)
        if asked.copied is not None or asked.refused:
            said = [one for one in said if one[0] != b"G"]
        if statements.outline(asked.sql).verb == "LISTEN":
            self._responder.stream(recorded).watch(self._notified)
        if wait := self._responder.wait(recorded):
            yield Wait(wait)
        if not said and not recorded.attributes.get(CLOSED) and spans.ERROR not in recorded.attributes:
            self._responder.refuse(self.UNANSWERED)
        passed = self._passed([one for one in said if one[0] != b"1"], asked)
        if recorded.attributes.get(CANCELLED):
            passed = self._hold(recorded, passed)
        if passed:
            yield passed
        if recorded.attributes.get(CLOSED):
            yield self._end(recorded)

    def _hold(self, recorded: Span, passed: bytes) -> bytes:
        """Hold how an answer ended until the program cancels, as it did while this was recorded.

        Returns:
            what is said at once: rows, which the program may want before it cancels.
        """
        early, late = wire.before_the_end(passed)
        self._cancelled = False
        self._held = _holding(recorded, late, lambda: self._cancelled, self._responder.refuse)
        return early

    def _end(self, recorded: Span) -> Reply[bytes]:
        error = recorded.text(spans.ERROR)
        if error is None:
            return END
        made = failures.error_of(self._responder, error)
        return Fail(lambda: made)

    def _notified(self, answer: Any) -> None:
        self._say(answer.recorded.payload(spans.RESPONSE) or b"")

    @property
    def _status(self) -> bytes:
        return b"T" if self._place.inside else _IDLE

    def _ready(self, status: bytes, asked: Asked | None = None) -> bytes:
        inside = status != _IDLE
        wrote = inside and (self._place.wrote or (asked is not None and statements.writes(asked.sql)))
        self._place = self._place._replace(inside=inside, wrote=wrote)
        return wire.ready(status)

    def _wrote(self) -> None:
        """Know that a transaction, if there is one, has written."""
        self._place = self._place._replace(wrote=True)

    def _passed(self, said: list[Message], asked: Asked | None = None) -> bytes:
        """Give messages as bytes, and know the transaction's status from them."""
        for kind, body in said:
            if kind == b"Z":
                self._ready(body[-1:], asked)
            elif kind == b"S":
                name, at = wire.text(body, wire.HEAD)
                self._changed[name] = wire.text(body, at)[0]
        return b"".join([body for _, body in said])


def _brings(asked: Asked, recorded: Asked) -> bool:
    """Whether a COPY brings what was recorded of it; secrets that are not known here do not count."""
    if recorded.secret:
        asked, recorded = asked.blanked(), recorded.blanked()
    return (asked.copied or b"").startswith(bytes(recorded.copied or b""))


def _operation(span: Span) -> str:
    question = questions.read(span)
    return "" if question is None else question.operation


def _kinds(asked: Asked) -> list[tuple[str, int]]:
    return [(column.name, column.type) for column in asked.described.columns]


def _holding(
    recorded: Span, passed: bytes, cancelled: Callable[[], bool], refuse: Callable[[str], NoReturn]
) -> Iterator[Reply[bytes]]:
    until = _now() + (recorded.end - recorded.start) / 1e9 + PATIENCE
    while not cancelled():
        left = until - _now()
        if left <= 0:
            refuse(
                "the program cancelled this statement while it was recorded, and does not now: its answer is not known"
            )
        yield Wait(left)
    yield passed


_now = time.monotonic  # the real one: a replay gives the app another

_STEPS: Final = {
    b"X": "_ends", b"Q": "_query", b"P": "_parse", b"D": "_describe", b"B": "_bind", b"E": "_execute", b"C": "_close",
    b"H": "_flush", b"S": "_sync", b"d": "_data", b"c": "_done", b"f": "_refused",
}  # fmt: skip
"""What a kind of message is taken by."""
