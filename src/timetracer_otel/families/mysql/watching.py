"""Watches the bytes of a connection to MySQL, and records each command as a call."""

from __future__ import annotations

import contextvars
import itertools
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import Any, Final

from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Status, StatusCode

from timetracer_otel import seams, spans
from timetracer_otel.families.dbapi.place import Place, peer_of
from timetracer_otel.families.mysql import asked as questions
from timetracer_otel.families.mysql import course, exchange, statements, wire
from timetracer_otel.families.mysql.asked import ASIDE, NAMES, QUERY, UPKEEP
from timetracer_otel.families.mysql.exchange import CLOSED, SENDING, Exchange
from timetracer_otel.families.onlooker import Onlooker
from timetracer_otel.seams import Call, first_needs
from timetracer_otel.seams.calls import CallLane

__all__ = ["IN_TRANSACTION", "Watched", "looking_after"]

_log = logging.getLogger("timetracer_otel")

IN_TRANSACTION: Final = 0x0001
"""The flag of a connection that is in a transaction."""
_QUIT: Final = 1
_NUMBER: Final = 3
_COMMAND: Final = 4
_LONGEST_SETTING: Final = 4096
_numbers = itertools.count(1)


def looking_after(command: int, sql: str, *, inside: bool, sets_up: bool) -> tuple[bool, bool]:
    """Say of a command whether it only looks after its connection, which is no call.

    A pool rolls back whenever a connection comes back, and object mappers commit what they set on a new one: cold and
    warm connections do that at other times.

    Args:
        command: its number.
        sql: its statement.
        inside: whether a transaction is under way on the connection.
        sets_up: whether the connection is being set up.

    Returns:
        Whether it does; and whether the connection is being set up still.
    """
    if command in UPKEEP:
        return True, sets_up
    if command != QUERY:
        return False, False
    if not inside and statements.is_end(sql):
        return True, sets_up
    if not sets_up:
        return False, False
    sets = statements.is_set_up(sql)
    return sets, sets or statements.is_catalog(sql)


@cache
def _say_unrecorded(plugin: str, kind: str) -> None:
    """Say once of a kind of command that it is left out."""
    _log.warning("timetracer: %s of %s are not recorded: a replay refuses them", kind, plugin)


def _short(exchange: Exchange) -> str:
    """A statement that may look after its connection, or ask what the server says of itself; empty for a longer one."""
    return exchange.beginning if exchange.size < _LONGEST_SETTING else ""


class Watched(Onlooker):
    """A connection that is recorded. A fault of ours is reported, and the connection left alone from then on.

    Args:
        plugin: the integration's name.
        address: of the server: host and port; a path and None.
        database: its name.
        server: what the server said of itself, as :data:`asked.SERVER` has it.
    """

    def __init__(self, plugin: str, address: tuple[str, int | None], database: str, server: Mapping[str, Any]) -> None:
        self.plugin = plugin
        self.address = address
        self.database = database
        self._server = server
        self._id = f"{os.getpid()}-{next(_numbers)}"
        self._status = 0
        self._transaction = 0
        self._wrote = False
        self._sets_up = True
        self._last_lane: CallLane | None = None
        self._exchange: Exchange | None = None
        self._early: list[bytes] = []
        self._ended_early = False
        """Whether the server closed the connection while nothing was asked; and what it said then."""

    # What passes. None of these raises.

    def wrote(self, packet: bytes) -> None:
        """Take a packet that the client sends, in its context.

        Args:
            packet: whole.
        """
        self._look(f"{self.plugin}.watch", self._wrote_packet, packet)

    def not_sent(self, packet: bytes, error: BaseException) -> None:
        """Take a packet that could not be sent.

        Args:
            packet: whole.
            error: that sending raised.
        """
        self._look(f"{self.plugin}.watch", self._wrote_in_vain, packet, error)

    def arrived(self, data: bytes) -> None:
        """Take what the server sends.

        Args:
            data: all that has arrived at once; nothing at the end.
        """
        self._look(f"{self.plugin}.watch", self._arrived_bytes if data else self._ended, data)

    def broke(self, error: BaseException) -> None:
        """Take what reading raised.

        Args:
            error: the exception.
        """
        self._look(f"{self.plugin}.watch", partial(self._failed, sends=False), error)

    def left(self) -> None:
        """Take that the client has given the connection up."""
        self._look(f"{self.plugin}.watch", self._over, None)

    def _give_up(self) -> Iterable[Call | None]:
        return () if self._exchange is None else (self._exchange.call,)

    # The client.

    def _wrote_packet(self, packet: bytes) -> None:
        current = self._exchange
        if current is not None and current.course.wants_file:
            current.send_file(packet)
        elif current is not None and (current.continues or packet[_NUMBER]):
            current.ask(packet)
        else:
            self._over(None)
            if packet[_COMMAND] != _QUIT and not course.is_silent(packet[_COMMAND]):
                self._begin(packet)

    def _wrote_in_vain(self, packet: bytes, error: BaseException) -> None:
        self._early, self._ended_early = [], False
        self._wrote_packet(packet)
        self._failed(error, sends=True)

    def _begin(self, packet: bytes) -> None:
        place = Place(
            self._id,
            self._transaction,
            bool(self._status & IN_TRANSACTION),
            self._wrote,
            peer_of(self.address, self.database),
        )
        current = self._exchange = Exchange(packet[_COMMAND], place)
        current.ask(packet)
        sql = _short(current)
        is_upkeep, self._sets_up = looking_after(current.command, sql, inside=place.inside, sets_up=self._sets_up)
        if is_upkeep:
            current.context = contextvars.copy_context()
        else:
            self._call(seams.begin)
        early, self._early = self._early, []
        for data in early:
            self._arrived_bytes(data)
        if self._ended_early:
            self._ended(b"")

    def _call(self, begin: Callable[..., Call | None]) -> None:
        """Begin the call of what is under way, in the context of who asks; there is none where nothing is recorded."""
        current = self._exchange
        if current is None or seams.active() is None or not is_instrumentation_enabled():
            return
        if current.command not in NAMES:
            _say_unrecorded(self.plugin, questions.kind(current.command))
            return
        call = begin(
            self.plugin, lambda: exchange.names(current.command, current.beginning, self.database, self.address)
        )
        if call is None:
            return
        current.call, call.under_way = call, current
        call.payloads.append((exchange.encode, spans.REQUEST, current))
        if call.lane is not self._last_lane:
            self._last_lane = call.lane
            current.server = {"peer": peer_of(self.address, self.database), **self._server}

    # The server.

    def _arrived_bytes(self, data: bytes) -> None:
        current = self._exchange
        if current is None:
            self._early.append(data)
            return
        current.pieces.append(data)
        current.following.feed(data)
        if current.course.ended:
            self._over(None)

    def _ended(self, _nothing: bytes) -> None:
        self._ended_early = True
        self._must_have_call()
        current = self._exchange
        if current is not None and current.call is not None:
            current.call.attributes[CLOSED] = True
        self._over(None)

    def _failed(self, error: BaseException, *, sends: bool) -> None:
        self._must_have_call()
        current = self._exchange
        if current is not None and current.call is not None:
            if sends:
                current.call.attributes[SENDING] = True
            current.call.fail(error)
        self._over(None)

    def _must_have_call(self) -> None:
        """Make a call of what is none as long as all goes well."""
        current = self._exchange
        if current is not None and current.call is None and current.context is not None:
            current.context.run(self._call, seams.start)
            self._set_aside()

    def _set_aside(self) -> None:
        if self._exchange is not None and self._exchange.call is not None:
            self._exchange.call.attributes[ASIDE] = True

    def _over(self, _nothing: None) -> None:
        current = self._exchange
        if current is None:
            return
        went = current.course
        if went.error is not None or went.warnings:
            self._must_have_call()
        self._exchange = None
        self._moves_on(current)
        call = current.call
        if call is None or call.over:
            return
        if went.error is not None and call.own and call.span.is_recording():
            call.span.set_status(Status(StatusCode.ERROR))
            call.span.set_attribute("db.response.status_code", str(wire.refusal(went.error).number))
        if went.error is None:
            self._keep(current, call)
        call.end()

    def _keep(self, current: Exchange, call: Call) -> None:
        """Keep for other requests of the process what the server says of itself."""
        sql = _short(current)
        if statements.is_catalog(sql):
            named = partial(exchange.names, current.command, sql, self.database, self.address)
            first_needs.keep(call, named, (self.address, self.database, sql))

    def _moves_on(self, current: Exchange) -> None:
        """Know where the connection stands after a command."""
        status = current.course.status
        if status is not None:
            self._status = status
        if not self._status & IN_TRANSACTION:
            self._transaction += 1
            self._wrote = False
        elif not self._wrote and current.command == QUERY:
            self._wrote = statements.writes(current.beginning)
