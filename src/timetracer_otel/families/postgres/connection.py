"""A connection to PostgreSQL while it is recorded: its exchanges become calls, and it knows where each stands."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from functools import partial
from typing import Final

from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Status, StatusCode

from timetracer_otel import redaction, seams, spans
from timetracer_otel.cassette import otlp
from timetracer_otel.families.dbapi.place import Place, peer_of
from timetracer_otel.families.postgres import exchange as exchanges
from timetracer_otel.families.postgres import literals, statements
from timetracer_otel.families.postgres.exchange import Exchange
from timetracer_otel.families.postgres.setting_up import SettingUp
from timetracer_otel.seams import Call, faults
from timetracer_otel.seams.calls import CallLane

__all__ = ["IDLE", "RecordedConnection", "peer_of"]

IDLE: Final = b"I"
"""The status of a connection that is in no transaction."""
_numbers = itertools.count(1)
_STATEMENTS: Final = "db.statement", "db.query.text"
"""Where instrumentors put statements."""
_BEGINNING: Final = 4096
"""Characters in which a statement speaks of secrets, if it does."""


def _hidden(text: str) -> str:
    """Hide the secrets in a statement; of one in bytes an instrumentor may have put the ``repr``."""
    marks = (2, -1) if text.startswith(("b'", 'b"')) else (0, len(text))
    begins, ends = text[: marks[0]], text[marks[1] :]
    return begins + literals.hidden(text[marks[0] : marks[1]], redaction.hide) + ends


class RecordedConnection:
    """Makes calls of a connection's exchanges.

    Args:
        plugin: the integration's name.
        address: of the server: host and port; a path and None.
        database: its name.
    """

    def __init__(self, plugin: str, address: tuple[str, int | None], database: str = "") -> None:
        self.plugin = plugin
        self.address = address
        self.database = database
        self.parameters: dict[str, str] = {}
        """What the server says of the connection."""
        self.pid = 0
        self._id = f"{os.getpid()}-{next(_numbers)}"
        self._status = IDLE
        self._transaction = 0
        self._wrote = False
        self._last_lane: CallLane | None = None
        self._setting_up = SettingUp()

    @property
    def place(self) -> Place:
        """Where the next exchange stands."""
        return Place(
            self._id, self._transaction, self._status != IDLE, self._wrote, peer_of(self.address, self.database)
        )

    def begin(self, exchange: Exchange, begin: Callable[..., Call | None] = seams.begin, kind: str = "") -> None:
        """Begin the call of an exchange, in the context of who asks; there is none where nothing is recorded.

        Args:
            exchange: that begins.
            begin: gives the call.
            kind: of exchange, for the name of a span of ours, where it is another one than to execute a statement.
        """
        if seams.active() is None or not is_instrumentation_enabled():
            return
        before = seams.pending.get()
        call = begin(self.plugin, lambda: exchanges.names(exchange.about, self.database, self.address, kind=kind))
        if begin is seams.start:
            seams.pending.set(before)  # what the driver asks by itself comes before what that span is of
        if call is None:
            return
        exchange.call, call.under_way = call, exchange
        call.payloads.append((exchanges.encode, spans.REQUEST, exchange))
        if call.lane is not self._last_lane:
            self._last_lane = call.lane
            exchange.server = {
                "peer": peer_of(self.address, self.database),
                "pid": self.pid,
                "connection": self._id,
                "parameters": dict(self.parameters),
            }

    def over(self, exchange: Exchange, status: bytes, error: dict[str, str] | None) -> None:
        """End the call of an exchange.

        Args:
            exchange: that is over.
            status: of the transaction after it.
            error: the fields of the server's error; None where there was none.
        """
        self._status = status
        if status == IDLE:
            self._transaction += 1
            self._wrote = False
        elif exchange.counts and not self._wrote:
            self._wrote = statements.writes(exchange.about)
        call = exchange.call
        if call is None:
            return
        self._hide(call)
        if error is not None and call.own and call.span.is_recording():
            call.span.set_status(Status(StatusCode.ERROR))
            call.span.set_attribute("db.response.status_code", error.get("C", ""))
        faults.guarded(f"{self.plugin}.setting_up", self._set_up, exchange, call, error is not None)
        call.end()

    def _set_up(self, exchange: Exchange, call: Call, refused: bool) -> None:  # noqa: FBT001 - by guarded, which names none
        """Keep for other requests of the process what the server says of itself."""
        sql = exchange.about
        if self._setting_up.is_over and not statements.is_catalog(sql):
            return
        named = partial(exchanges.names, sql, self.database, self.address)
        asked = (self.address, self.database, sql, *exchange.messages)
        self._setting_up.take(call, sql, named, asked, inside=self._status != IDLE, refused=refused)

    def _hide(self, call: Call) -> None:
        """Hide secrets in the statement that an instrumentor has put on its span."""
        if call.own or not call.span.is_recording():
            return
        attributes = otlp.own_attributes(call.span)
        for name in _STATEMENTS:
            text = str(attributes.get(name, ""))
            if text and literals.speaks(text[:_BEGINNING]):
                call.span.set_attribute(name, _hidden(text))

    def notified(self, before: str, message: bytes) -> Call | None:
        """Record a notification that came by itself, in the context of who listens; None where nothing is recorded.

        Args:
            before: id of the call that it follows.
            message: the server's.
        """
        call = seams.start(self.plugin, lambda: exchanges.names("", self.database, self.address, kind="NOTIFICATION"))
        if call is not None:
            call.follow(before)
            call.put(spans.RESPONSE, message)
            call.end()
        return call
