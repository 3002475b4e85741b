"""A connection of libpq while it is recorded: what is sent by it, and what its results belong to."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from timetracer_otel import seams
from timetracer_otel.families.postgres import results, statements, wire
from timetracer_otel.families.postgres.asked import ASIDE
from timetracer_otel.families.postgres.connection import IDLE, RecordedConnection
from timetracer_otel.families.postgres.exchange import CANCELLED, CLOSED
from timetracer_otel.families.postgres.results import ResultExchange, Sent
from timetracer_otel.seams import Call, faults

__all__ = ["LibpqConnection", "step"]

_STATUS: Final = {0: IDLE, 2: b"T", 3: b"E"}
"""The server's words for a transaction's status, by libpq's."""
_BAD: Final = 1
"""The status of a connection that is lost."""
_PARAMETERS: Final = (
    "server_version", "server_encoding", "client_encoding", "application_name", "default_transaction_read_only",
    "in_hot_standby", "is_superuser", "session_authorization", "DateStyle", "IntervalStyle", "TimeZone",
    "integer_datetimes", "standard_conforming_strings", "scram_iterations",
)  # fmt: skip
_CHANGING: Final = (b"TimeZone", b"client_encoding", b"DateStyle", b"IntervalStyle", b"standard_conforming_strings")

_P = ParamSpec("_P")
_C = TypeVar("_C", bound="LibpqConnection")


def step(method: Callable[Concatenate[_C, _P], None]) -> Callable[Concatenate[_C, _P], None]:
    """Let a fault of ours be reported, and the connection be left alone from then on."""

    @wraps(method)
    def look(self: _C, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        if self.blind:
            return
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            self.blind = True
            calls = [one.call for one in self.pending if one.call is not None]
            for call in calls:
                call.lose(f"{self.plugin}.{method.__name__}", error)
            if not calls:
                faults.report(f"{self.plugin}.{method.__name__}", error)

    return look


class LibpqConnection(RecordedConnection):
    """Records a connection of libpq. No method raises.

    Args:
        plugin: the integration's name.
        pgconn: the connection, once it is made.
    """

    def __init__(self, plugin: str, pgconn: Any) -> None:
        host = (pgconn.host or b"").decode("utf-8", "replace")
        port = (pgconn.port or b"").decode("ascii", "replace")
        super().__init__(plugin, (host, int(port) if port.isdigit() else None), (pgconn.db or b"").decode())
        self.blind = False
        self.busy = False
        """Whether a step of the driver is looked at, so that the steps within it are not."""
        self.pending: deque[ResultExchange] = deque()
        """What was sent and is not answered to its end."""
        self._answered: list[ResultExchange] = []
        """What was answered in a pipeline whose end is not known."""
        self._statements: dict[bytes, tuple[bytes, Sequence[int]]] = {}
        self._columns: dict[bytes, dict[tuple[Any, ...], bytes]] = {}
        self.pid = pgconn.backend_pid
        known = ((name, pgconn.parameter_status(name.encode())) for name in _PARAMETERS)
        self.parameters = {name: value.decode() for name, value in known if value is not None}
        self._last_parameters = [pgconn.parameter_status(name) for name in _CHANGING]
        self._listening: tuple[contextvars.Context, str] | None = None

    # What is sent, in the context of who asks.

    @step
    def query(self, sql: bytes, begin: Callable[..., Call | None] = seams.begin, template: str = "") -> None:
        """Take a query without parameters.

        Args:
            sql: its text.
            begin: gives the call.
            template: the text before the driver has written parameters into it, where it has.
        """
        exchange = self._new(b"Q", bytes(sql) + b"\0")
        exchange.template = template
        exchange.counts = not statements.is_upkeep(exchange.about)
        if exchange.counts:
            self.begin(exchange, begin)

    @step
    def query_with(
        self, sql: bytes, types: Sequence[int] | None, sent: Sent, begin: Callable[..., Call | None] = seams.begin
    ) -> None:
        """Take a statement with its parameters.

        Args:
            sql: its text.
            types: of the parameters.
            sent: these.
            begin: gives the call.
        """
        exchange = self._new(b"P", _parse(sql, types or ()))
        exchange.execute(sent)
        self.begin(exchange, begin)

    @step
    def prepare(self, name: bytes, sql: bytes, types: Sequence[int] | None) -> None:
        """Take a statement that is to be prepared. It is a call only where the server refuses it.

        Args:
            name: of the statement.
            sql: its text.
            types: of the parameters.
        """
        self._statements[name] = sql, types or ()
        self._columns[name] = {}
        exchange = self._new(b"P", _parse(sql, types or ()))
        exchange.keep_context()

    @step
    def execute(self, name: bytes, sent: Sent, *, in_pipeline: bool) -> None:
        """Take the execution of a prepared statement.

        Args:
            name: of the statement.
            sent: its parameters.
            in_pipeline: whether it may be one of several.
        """
        last = self.pending[-1] if self.pending else None
        if last is not None and last.open and last.name == name:
            last.execute(sent)
            last.expected += 1
            return
        sql, types = self._statements[name]
        exchange = self._new(b"P", _parse(sql, types))
        exchange.name, exchange.open, exchange.columns = name, in_pipeline, self._columns.get(name)
        exchange.execute(sent)
        self.begin(exchange)

    @step
    def describe(self, portal: bytes) -> None:
        """Take that a cursor is to be described.

        Args:
            portal: its name.
        """
        self._new(b"P", _parse(b"DESCRIBE PORTAL " + portal, ())).counts = True
        self.begin(self.pending[-1])

    @step
    def aside(self) -> None:
        """Take something that is answered and is no call."""
        self._new(b"C", b"")

    @step
    def restate(self, sql: bytes) -> None:
        """Take what was really sent, where only the driver knew that.

        Args:
            sql: the text of the last query.
        """
        if self.pending:
            self.pending[-1].restate(b"Q", bytes(sql) + b"\0")

    @step
    def unsent(self) -> None:
        """Take that the driver refused the last query, so that the server never saw it."""
        if self.pending:
            exchange = self.pending.pop()
            if exchange.call is not None:
                exchange.call.attributes[ASIDE] = "unsent"
                exchange.call.end()

    @step
    def boundary(self) -> None:
        """Take that all that was sent in a pipeline is to be answered."""
        self._close_last()

    def _new(self, kind: bytes, body: bytes) -> ResultExchange:
        self._close_last()
        exchange = ResultExchange(self.place)
        exchange.ask(kind, body)
        self.pending.append(exchange)
        return exchange

    def _close_last(self) -> None:
        if self.pending and self.pending[-1].open:
            last = self.pending[-1]
            last.open = False
            if not last.expected:
                self.pending.pop()
                self._answered.append(last)

    @step
    def cancelling(self) -> None:
        """Take that the program asks the server to break off what it does; the driver does so after an error too."""
        for exchange in self.pending:
            if exchange.call is not None and results.errors_in(exchange) is None:
                exchange.call.attributes[CANCELLED] = True

    # What arrives.

    @step
    def answered(self, pgconn: Any, found: Sequence[Any]) -> None:
        """Take the results of what was sent first.

        Args:
            pgconn: the connection.
            found: its results.
        """
        if found and found[0].status == results.SYNCED:
            self._synced(pgconn)
            return
        if not self.pending or not found:
            return
        exchange = self.pending[0]
        exchange.results += found
        if exchange.direction:
            return
        exchange.expected -= 1
        if not exchange.expected and not exchange.open:
            self.pending.popleft()
            self._answered.append(exchange)
            if not pgconn.pipeline_status:
                self._synced(pgconn)

    @step
    def answered_piece(self, pgconn: Any, result: Any) -> None:
        """Take one result of several; None behind the last.

        Args:
            pgconn: the connection.
            result: of libpq.
        """
        if not self.pending:
            return
        if result is not None:
            self.pending[0].results.append(result)
            return
        self._answered.append(self.pending.popleft())
        self._synced(pgconn)

    def _synced(self, pgconn: Any) -> None:
        """All that was answered is over, and the transaction's status is known."""
        if pgconn.status == _BAD:
            self.lost()
            return
        over, self._answered = self._answered, []
        status = _STATUS.get(pgconn.transaction_status, IDLE)
        changed = self._changed_parameters(pgconn)
        for exchange in over:
            exchange.status = status
            if exchange is over[-1]:
                exchange.beside += changed
            self._end(exchange, status)

    def _end(self, exchange: ResultExchange, status: bytes) -> None:
        if any(result.status == results.ABORTED for result in exchange.results):
            exchange.results = [one for one in exchange.results if one.status != results.ABORTED]
            if not exchange.results and exchange.call is not None:
                exchange.call.attributes[ASIDE] = "aborted"
        error = results.errors_in(exchange)
        if error is not None and exchange.context is not None:
            exchange.context.run(self.begin, exchange, seams.begin, "PREPARE")
        if exchange.counts and statements.outline(exchange.about).verb == "LISTEN" and exchange.call is not None:
            self._listening = contextvars.copy_context(), exchange.call.span_id
        self.over(exchange, status, error)

    def _changed_parameters(self, pgconn: Any) -> list[bytes]:
        now = [pgconn.parameter_status(name) for name in _CHANGING]
        if now == self._last_parameters:
            return []
        before, self._last_parameters = self._last_parameters, now
        changed = [
            (name.decode(), (value or b"").decode())
            for name, value, old in zip(_CHANGING, now, before, strict=True)
            if value != old
        ]
        self.parameters.update(changed)
        return [wire.parameter_status(name, value) for name, value in changed]

    @step
    def beside(self, message: bytes) -> None:
        """Take what the server says beside answers: with what is asked, or by itself for a connection that listens.

        Args:
            message: a notice or a notification.
        """
        if self.pending:
            self.pending[0].beside.append(message)
        elif self._listening is not None and message[:1] == b"A":
            context, before = self._listening
            call = context.copy().run(self.notified, before, message)
            self._listening = context, before if call is None else call.span_id

    @step
    def copied(self, data: Any) -> None:
        """Take data of a COPY, either way.

        Args:
            data: a piece.
        """
        if self.pending:
            self.pending[0].copied.append(data)

    @step
    def copy_ended(self, pgconn: Any, result: Any, refused: bytes | None) -> None:
        """Take the end of a COPY.

        Args:
            pgconn: the connection.
            result: the last one; None where the connection is gone.
            refused: why the client broke it off; None where it did not.
        """
        if not self.pending:
            return
        exchange = self.pending.popleft()
        exchange.ended = refused
        if result is not None:
            exchange.results.append(result)
        self._answered.append(exchange)
        self._synced(pgconn)

    @step
    def lost(self) -> None:
        """Take that the connection broke."""
        over = [*self._answered, *self.pending]
        self._answered.clear()
        self.pending.clear()
        for exchange in over:
            if exchange.call is not None:
                exchange.call.attributes[CLOSED] = True
            self.over(exchange, IDLE, results.errors_in(exchange))


def _parse(sql: bytes, types: Sequence[int]) -> bytes:
    """The body of a Parse."""
    return b"\0" + bytes(sql) + _end_of_parse(tuple(types))


@lru_cache(maxsize=256)
def _end_of_parse(types: tuple[int, ...]) -> bytes:
    return wire.parse("", "", types)[6:]
