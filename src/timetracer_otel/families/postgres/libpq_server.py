"""What a server says to libpq in a replay: it describes results where they are asked for, one by one in pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from timetracer_otel.families.nowhere import Reply, Wait
from timetracer_otel.families.postgres import asked as questions
from timetracer_otel.families.postgres import statements, wire
from timetracer_otel.families.postgres.asked import Asked
from timetracer_otel.families.postgres.exchange import CANCELLED, CLOSED
from timetracer_otel.families.postgres.server import Portal, Server, Statement
from timetracer_otel.families.postgres.wire import Message

__all__ = ["LibpqServer"]

_BESIDE = frozenset({b"N", b"S", b"A"})


class LibpqServer(Server):
    """A server for libpq."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._group: list[Portal] = []
        """Executions of one statement, which are one call."""
        self._parsed = False
        """Whether an unnamed statement was sent that is still to be acknowledged."""
        self._skips = False
        """Whether there was an error, so that all is skipped until the client synchronizes."""
        self._after = b""

    def _parse(self, body: bytes) -> Iterator[Reply[bytes]]:
        yield from self._answer_group()
        name, sql, types = wire.parsed(body)
        statement = self._statements[name] = Statement(sql, types, name)
        if self._skips:
            return
        if not name:
            self._parsed = True
            return
        asked = Asked("prepare", sql, types)
        if self._is_refused(asked):
            _, messages = self._recorded(asked)
            yield from self._said(list(messages), [])
        else:
            yield wire.frame(b"1")
        statement.described = questions.UNKNOWN

    def _is_refused(self, asked: Asked) -> bool:
        """Whether the next recorded call of a statement is one that could not prepare it."""
        found = self._responder.recorded_with(questions.STATEMENT, statements.digest(asked.sql))
        calls = (question for span in found if (question := questions.read(span)) is not None)
        return next((question.operation for question in calls), "") == asked.operation

    def _describe(self, body: bytes) -> Iterator[Reply[bytes]]:
        kind, name = wire.named(body)
        if kind == b"P" and name and name not in self._portals and not self._skips:
            yield from self._answer_group()
            _, messages = self._recorded(Asked("prepare", f"DESCRIBE PORTAL {name}"))
            yield from self._said(list(messages), [])

    def _bind(self, body: bytes) -> Iterator[Reply[bytes]]:
        bound = wire.bound(body)
        portal = Portal(self._statement(bound.statement), bound)
        if self._group and (not bound.statement or portal.statement is not self._group[0].statement):
            yield from self._answer_group()
        self._group.append(portal)

    def _execute(self, body: bytes) -> Iterator[Reply[bytes]]:
        return iter(())  # what is bound is executed

    def _close(self, _body: bytes) -> Iterator[Reply[bytes]]:
        yield from self._answer_group()
        yield wire.frame(b"3")

    def _flush(self, _body: bytes) -> Iterator[Reply[bytes]]:
        return self._answer_group()

    def _sync(self, _body: bytes) -> Iterator[Reply[bytes]]:
        yield from self._answer_group()
        if self._parsed:
            yield wire.frame(b"1")
        self._parsed = self._skips = False
        status, self._after = self._after or self._status, b""
        if self._held:
            self._held = chain(self._held, (self._ready(status),))
        else:
            yield self._ready(status)

    def _answer_group(self) -> Iterator[Reply[bytes]]:
        group, self._group = self._group, []
        if self._skips or not group:
            return
        recorded, messages = self._recorded(self._of("execute", group, 0))
        said = list(messages)
        if wait := self._responder.wait(recorded):
            yield Wait(wait)
        if not said and not recorded.attributes.get(CLOSED):
            self._responder.refuse(self.UNANSWERED)
        if statements.outline(group[0].statement.sql).verb == "LISTEN":
            self._responder.stream(recorded).watch(self._notified)
        answer = b"".join(self._said(said, group))
        if recorded.attributes.get(CANCELLED):
            answer = self._hold(recorded, answer)
        yield answer
        if recorded.attributes.get(CLOSED):
            yield self._end(recorded)

    def _said(self, said: list[Message], group: list[Portal]) -> Iterator[bytes]:
        """Give what was said to each execution, with what the protocol has before it."""
        pieces, begun = [], False
        acknowledged = (wire.frame(b"1") if self._parsed else b"") + wire.frame(b"2")
        left = len(group)
        for kind, body in said:
            if kind == b"Z":
                self._after = body[-1:]
                continue
            if kind in _BESIDE:
                pieces.append(self._passed([(kind, body)]))
                continue
            if left and not begun and kind != b"E":
                pieces.append(acknowledged if kind == b"T" else acknowledged + wire.frame(b"n"))
                acknowledged = wire.frame(b"2")
                self._parsed = False
            begun = kind not in wire.ENDS
            left -= not begun
            pieces.append(body)
            if kind == b"E":
                self._skips = True
                self._parsed = False
        if group and statements.writes(group[0].statement.sql):
            self._wrote()
        yield b"".join(pieces)
