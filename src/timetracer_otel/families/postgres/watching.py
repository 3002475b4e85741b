"""Watches the bytes of a connection to PostgreSQL, and records each exchange as a call."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable
from typing import Final

from timetracer_otel import seams
from timetracer_otel.families.onlooker import Onlooker
from timetracer_otel.families.postgres import asked as questions
from timetracer_otel.families.postgres import statements, wire
from timetracer_otel.families.postgres.connection import IDLE, RecordedConnection
from timetracer_otel.families.postgres.exchange import CANCELLED, CLOSED, Exchange, Prepared, Remembered
from timetracer_otel.families.postgres.wire import Split
from timetracer_otel.seams import Call

__all__ = ["Watched"]

_DESCRIPTION: Final = frozenset({b"t", b"T", b"n"})
_DESCRIBED: Final = frozenset({b"T", b"n"})
_BEGINS: Final = frozenset({b"Q", b"P", b"B", b"D", b"E", b"C", b"F"})
_TAIL: Final = 6


class Watched(Onlooker, RecordedConnection):
    """A connection that is recorded. A fault of ours is reported, and the connection left alone from then on.

    Args:
        plugin: the integration's name.
        address: of the server: host and port; a path and None.
    """

    def __init__(self, plugin: str, address: tuple[str, int | None]) -> None:
        super().__init__(plugin, address)
        self._sent, self._received = Split(), Split()
        self._started = self._ready = False
        self._statements: dict[str, Prepared] = {}
        self._portals: dict[str, tuple[Prepared, bytes]] = {}
        self._described: Remembered[bytes, bytes] = Remembered()
        """How the server described what was prepared: a client without names prepares it once more to execute it."""
        self._exchange: Exchange | None = None
        self._listening: tuple[contextvars.Context, str] | None = None

    # What passes. Neither raises.

    def wrote(self, data: bytes) -> None:
        """Take what the client sends, in its context.

        Args:
            data: all that is sent at once.
        """
        self._look(f"{self.plugin}.watch", self._wrote_bytes, data)

    def arrived(self, data: bytes) -> None:
        """Take what the server sends.

        Args:
            data: all that has arrived at once.
        """
        self._look(f"{self.plugin}.watch", self._arrived_bytes, data)

    def lost(self, error: BaseException | None) -> None:
        """Take that the connection is no more.

        Args:
            error: why; None where it was closed.
        """
        self._look(f"{self.plugin}.watch", self._lost, error)

    def cancelling(self) -> None:
        """Take that the client asks the server to break off what it does."""
        if self._exchange is not None and self._exchange.call is not None:
            self._exchange.call.attributes[CANCELLED] = True

    def _give_up(self) -> Iterable[Call | None]:
        return () if self._exchange is None else (self._exchange.call,)

    # The client.

    def _wrote_bytes(self, data: bytes) -> None:
        if not self._started:
            body = self._sent.startup(data)
            if body is None:
                return
            startup = wire.startup_parameters(body)
            self.database = startup.get("database") or startup.get("user", "")
            self._started, data = True, b""
        found = self._sent.messages(data)
        if not self._ready:
            return  # credentials
        for kind, body in found:
            self._asks(kind, body)
        exchange = self._exchange
        if exchange is not None and not exchange.begun and (exchange.counts or exchange.context is None):
            self._begin(exchange)

    def _asks(self, kind: bytes, body: bytes) -> None:
        exchange = self._exchange
        if exchange is None and kind not in _BEGINS:
            return  # the rest of what has failed
        if exchange is None:
            exchange = self._exchange = Exchange(self.place)
        if kind == b"P":
            name = wire.text(body)[0]
            prepared = self._statements[name] = Prepared(body, self._described.get(body, b""))
            if not exchange.counts:  # else what ends the transaction of an ``executemany`` that the client breaks off
                exchange.prepared = prepared
            exchange.ask(kind, body)
        elif kind == b"B":
            self._binds(exchange, body)
        elif kind == b"E":
            self._executes(exchange, body)
        elif kind == b"Q":
            exchange.ask(kind, body)
            exchange.counts = not statements.is_upkeep(wire.text(body)[0])
        elif kind in {b"d", b"c", b"f"}:
            exchange.ask(kind, body)
        elif kind == b"H":
            exchange.only_described = True

    def _binds(self, exchange: Exchange, body: bytes) -> None:
        portal, at = wire.text(body)
        prepared = self._statements[wire.text(body, at)[0]]
        if exchange.prepared is not prepared and not exchange.counts:
            exchange.prepared = prepared
            exchange.ask(b"P", prepared.parse)
        exchange.ask(b"B", body)
        exchange.counts = True
        self._portals[portal] = prepared, body

    def _executes(self, exchange: Exchange, body: bytes) -> None:
        if exchange.prepared is None:
            prepared, bound = self._portals[wire.text(body)[0]]
            exchange.prepared = prepared
            for kind, earlier in ((b"P", prepared.parse), (b"B", bound), (b"S", b"")):
                exchange.ask(kind, earlier)
        exchange.ask(b"E", body)
        exchange.counts = True

    def _begin(self, exchange: Exchange) -> None:
        """Find the call of an exchange, in the context of who asks."""
        if exchange.counts:
            exchange.begun = True
            self.begin(exchange)
        exchange.context = contextvars.copy_context()

    # The server.

    def _arrived_bytes(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            for kind, body in self._received.messages(data):
                self._unasked(kind, body)
            return
        exchange.pieces.append(data)
        if exchange.only_described:
            self._describes(exchange)
        elif wire.ended_with(data if len(data) >= _TAIL else b"".join(exchange.pieces)[-_TAIL:]):
            self._may_be_over(exchange)

    def _unasked(self, kind: bytes, body: bytes) -> None:
        """Take what comes before the connection is ready, or by itself."""
        if kind == b"S":
            name, at = wire.text(body)
            self.parameters[name] = wire.text(body, at)[0]
        elif kind == b"K":
            self.pid = int.from_bytes(body[:4])
        elif kind == b"Z":
            self._ready = True
        elif kind == b"A" and self._listening is not None:
            context, before = self._listening
            context.copy().run(self._heard, before, wire.frame(kind, body))

    def _heard(self, before: str, message: bytes) -> None:
        call = self.notified(before, message)
        if call is not None and self._listening is not None:
            self._listening = self._listening[0], call.span_id

    def _describes(self, exchange: Exchange) -> None:
        """See whether a statement is described, or was refused: then the client asks for the end."""
        found = list(wire.messages(b"".join(exchange.pieces)))
        kinds = {kind for kind, _ in found}
        if exchange.prepared is not None and kinds & _DESCRIBED:
            described = b"".join(wire.frame(*one) for one in found if one[0] in _DESCRIPTION)
            exchange.prepared.described = self._described[exchange.prepared.parse] = described
            self._exchange = None
            if exchange.context is not None:
                exchange.context.run(self._keep, exchange, seams.start, "PREPARE")
        elif b"E" in kinds and b"Z" in kinds:
            if exchange.context is not None:
                exchange.context.run(self._keep, exchange, seams.begin, "PREPARE")
            self._is_over(exchange, found)

    def _keep(self, exchange: Exchange, begin: Callable[..., Call | None], kind: str) -> None:
        """Keep how a statement was described, or why it was refused."""
        self.begin(exchange, begin, kind)
        if exchange.call is not None and begin is seams.start:
            exchange.call.attributes[questions.ASIDE] = "prepared"
            exchange.call.end()

    def _may_be_over(self, exchange: Exchange) -> None:
        """See whether the bytes end with the end of the answer: a row may hold the same bytes."""
        data = exchange.pieces[0] if len(exchange.pieces) == 1 else b"".join(exchange.pieces)
        if (found := wire.notable(data)) is not None:
            exchange.pieces = [data]
            self._is_over(exchange, found)

    def _is_over(self, exchange: Exchange, found: list[wire.Message]) -> None:
        self._exchange = None
        status, error = IDLE, None
        for kind, body in found:
            if kind == b"S":
                self._unasked(kind, body)
            elif kind == b"E":
                error = wire.error_fields(body)
            elif kind == b"Z":
                status = body
        self.over(exchange, status, error)
        call = exchange.call
        if call is not None and exchange.context is not None and statements.outline(exchange.sql).verb == "LISTEN":
            self._listening = exchange.context, call.span_id

    def _lost(self, error: BaseException | None) -> None:
        exchange, self._exchange = self._exchange, None
        call = exchange.call if exchange is not None else None
        if call is None:
            return
        call.attributes[CLOSED] = True
        if error is not None:
            call.fail(error)
        call.end()
