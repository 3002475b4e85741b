"""A connection of psycopg2 while it is recorded: the driver in C says what it sends, and keeps its last result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final
from weakref import ref

from timetracer_otel import seams
from timetracer_otel.families.postgres import psycopg2_statements as texts
from timetracer_otel.families.postgres import statements
from timetracer_otel.families.postgres.copied_results import CopiedResult, MadeResult
from timetracer_otel.families.postgres.libpq import LibpqConnection, step
from timetracer_otel.families.postgres.psycopg2_copying import Copy, WatchedFile
from timetracer_otel.families.postgres.psycopg2_driver import Begun, Beside, Libpq, encoded, error_fields
from timetracer_otel.families.postgres.results import COPY_IN, COPY_OUT, EMPTY, FATAL

__all__ = ["Recording"]

_READY: Final = 1
"""The driver's own status of a connection that is in no transaction."""
_POLL_OK: Final = 0
_EMPTY_QUERY: Final = "can't execute an empty query"
_ALONE: Final = nullcontext()


class Recording(LibpqConnection):
    """Records a connection of psycopg2, which it does not keep alive.

    Args:
        plugin: the integration's name.
        conn: the connection, once it is made.
        module: the driver's module of C.
    """

    def __init__(self, plugin: str, conn: Any, module: Any) -> None:
        self._libpq = Libpq(conn)
        super().__init__(plugin, self._libpq)
        self._module = module
        self._turn = threading.RLock()
        self.entered = False
        """Whether the program is in a ``with`` block of the connection: that has a transaction, autocommit or not."""
        self.xid: Any = None
        """The name of the transaction in two phases that the program has begun last."""
        self._waiting: ref[Any] | None = None
        """The cursor whose statement a connection that does not wait has sent."""

    def _alone(self, conn: Any) -> AbstractContextManager[Any]:
        """Let threads that share a connection take turns, as they do within the driver."""
        waits = conn.async_ or self._module.get_wait_callback() is not None
        return _ALONE if waits else self._turn

    # What a cursor asks.

    def ask(
        self, cursor: Any, sent: bytes, run: Callable[[], Any], *, begins: bool = True, template: Any = None
    ) -> Any:
        """Record a statement.

        Args:
            cursor: that sends it.
            sent: its text.
            run: sends it.
            begins: whether the driver begins a transaction for it where there is none.
            template: what the driver has made that text of.
        """
        conn = cursor.connection
        with self._alone(conn):
            before = Beside(conn)
            if begins:
                self._begins(conn)
            self.query(sent, seams.begin, template if isinstance(template, str) else "")
            if conn.async_:
                return self._send(cursor, sent, run)
            try:
                result = run()
            except BaseException as error:
                self._restated(cursor, sent)
                self.failed(conn, error, before)
                raise
            self._restated(cursor, sent)
            self._over(cursor, before)
            return result

    def ask_each(
        self, cursor: Any, statements: Iterable[bytes], run: Callable[[Iterable[bytes]], Any], template: Any
    ) -> Any:
        """Record statements that the driver sends one by one.

        Args:
            cursor: that sends them.
            statements: their texts, as they are made.
            run: sends them.
            template: what the driver has made those texts of.
        """
        each = _Each(self, cursor, statements, template if isinstance(template, str) else "")
        try:
            return run(each)
        except BaseException as error:
            each.failed(error)
            raise
        finally:
            each.leave()

    def close_unasked(self, cursor: Any, asks: bytes, closes: bytes, run: Callable[[], Any]) -> Any:
        """Record the end of a cursor of the server that the client's has not declared.

        Args:
            cursor: that is closed.
            asks: asks whether it is there.
            closes: closes it, if it is.
            run: sends both.
        """
        conn = cursor.connection
        with self._alone(conn):
            before = Beside(conn)
            self.query(asks, seams.start)
            with self._failing(conn, before):
                result = run()
            self._closed_unasked(cursor, closes, before)
            return result

    @step
    def _closed_unasked(self, cursor: Any, closes: bytes, before: Beside) -> None:
        before.tell(self, cursor.connection)
        is_there = cursor.rowcount != 0
        self.answered(self._libpq, [MadeResult.found(is_there)])
        if is_there:
            self.query(closes, seams.start)
            self.answered(self._libpq, [MadeResult(command_status=b"CLOSE CURSOR")])

    def _send(self, cursor: Any, sent: bytes, run: Callable[[], Any]) -> Any:
        with self._failing(cursor.connection, None):
            result = run()
        self._restated(cursor, sent)
        self._waiting = ref(cursor)  # the driver says when the program has dropped it, so we must not hold it
        return result

    @step
    def _begins(self, conn: Any) -> None:
        """Record the transaction that the driver begins by itself."""
        if conn.status != _READY or conn.async_ or (conn.autocommit and not self.entered):
            return
        sql = texts.begin(conn)
        self.query(sql, seams.start)
        self.answered(Begun(self._libpq), [MadeResult(command_status=b"BEGIN")])

    @step
    def _restated(self, cursor: Any, sent: bytes) -> None:
        if cursor.query is not None and cursor.query != sent and not _fetches(sent):
            self.restate(cursor.query)

    @step
    def _over(self, cursor: Any, before: Beside) -> None:
        """Take that a statement was answered, and with what."""
        before.tell(self, cursor.connection)
        self.answered(self._libpq, [self._result(cursor)])

    def _result(self, cursor: Any) -> Any:
        pointer = cursor.pgresult_ptr
        counts = bool(self.pending) and self.pending[0].call is not None
        if pointer and counts:
            return CopiedResult(self._module.__file__, pointer)
        return MadeResult(command_status=encoded(cursor.connection, cursor.statusmessage))

    @contextmanager
    def _failing(self, conn: Any, before: Beside | None) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.failed(conn, error, before)
            raise

    @step
    def failed(self, conn: Any, error: BaseException, before: Beside | None = None) -> None:
        """Take that what was asked last failed.

        Args:
            conn: the connection.
            error: what was raised.
            before: what had been said beside answers before.
        """
        if before is not None:
            before.tell(self, conn)
        fields = error_fields(conn, error)
        if fields:
            self.answered(self._libpq, [MadeResult(FATAL, fields=fields)])
        elif conn.closed:
            call = self.pending[0].call if self.pending else None
            if call is not None and isinstance(error, self._module.Error):
                call.fail(error)
            self.lost()
        elif str(error) == _EMPTY_QUERY:
            self.answered(self._libpq, [MadeResult(EMPTY)])
        elif self._waiting is not None and self._waiting() is None:
            self._waiting = None  # the program has dropped the cursor, and the driver the answer
            self.answered(self._libpq, [MadeResult()])
        else:
            self.unsent()

    # COPY.

    def copy(self, cursor: Any, copy: Copy) -> Any:
        """Record a COPY.

        Args:
            cursor: that asks for it.
            copy: what is asked.
        """
        conn = cursor.connection
        with self._alone(conn):
            before = Beside(conn)
            self._begins(conn)
            self.query(copy.sql)
            watched = WatchedFile(copy.file, lambda text: encoded(conn, text))
            try:
                result = copy.run(watched)
            except BaseException as error:
                self._copied_until(cursor, watched, error, before)
                raise
            self._copied_all(cursor, watched, before)
            return result

    @step
    def _copied_all(self, cursor: Any, watched: WatchedFile, before: Beside) -> None:
        if cursor.query is not None:
            self.restate(cursor.query)
        before.tell(self, cursor.connection)
        if self.pending and statements.outline(self.pending[0].sql).verb != "COPY":
            self.answered(self._libpq, [self._result(cursor)])
            return
        self._copied(watched)
        tag = b"COPY" if cursor.rowcount < 0 else b"COPY %d" % cursor.rowcount
        self.copy_ended(self._libpq, MadeResult(command_status=tag), None)

    @step
    def _copied_until(self, cursor: Any, watched: WatchedFile, error: BaseException, before: Beside) -> None:
        if cursor.query is not None:
            self.restate(cursor.query)
        conn = cursor.connection
        fields = error_fields(conn, error)
        is_the_files = watched.is_used and not watched.is_read and not fields and not conn.closed
        if not is_the_files and not (watched.is_used and fields):
            self.failed(conn, error, before)
            return
        before.tell(self, conn)
        self._copied(watched)
        ended = MadeResult(command_status=b"COPY") if is_the_files else MadeResult(FATAL, fields=fields)
        self.copy_ended(self._libpq, ended, watched.refused)

    def _copied(self, watched: WatchedFile) -> None:
        if self.pending:
            self.pending[0].results.append(MadeResult(COPY_IN if watched.is_read else COPY_OUT))
        for piece in watched.pieces:
            self.copied(piece)

    # What the connection itself asks.

    def command(self, conn: Any, sent: Callable[[], Sequence[tuple[bytes, bytes]]], run: Callable[[], Any]) -> Any:
        """Record statements that the connection sends by itself.

        Args:
            conn: the connection.
            sent: gives them when it is the thread's turn, each with the tag that the server answers; none where
                nothing is sent.
            run: sends them.
        """
        with self._alone(conn):
            statements = sent()
            if not statements:
                return run()
            before = Beside(conn)
            *earlier, last = statements
            for sql, tag in earlier:
                self.query(sql, seams.start)
                self.answered(self._libpq, [MadeResult(command_status=tag)])
            self.query(last[0], seams.start)
            with self._failing(conn, before):
                result = run()
            self._done(conn, last[1], before)
            return result

    @step
    def _done(self, conn: Any, tag: bytes, before: Beside) -> None:
        before.tell(self, conn)
        if self.pending:
            self.answered(self._libpq, [MadeResult(command_status=tag)])

    def settle(self, conn: Any, run: Callable[[], Any], statements: Callable[[], Sequence[bytes]]) -> Any:
        """Record settings of the connection, whose statements are known once they are made.

        Args:
            conn: the connection.
            run: makes them.
            statements: gives what was sent.
        """
        with self._alone(conn):
            result = run()
            self._settled(statements)
            return result

    @step
    def _settled(self, statements: Callable[[], Sequence[bytes]]) -> None:
        for sql in statements():
            self.query(sql, seams.start)
            self.answered(self._libpq, [MadeResult(command_status=sql.split(maxsplit=1)[0])])

    def cancel(self, run: Callable[[], Any]) -> Any:
        """Record that the program asks the server to break off what it does.

        Args:
            run: asks.
        """
        self.cancelling()
        return run()

    # Connections that do not wait, and what comes by itself.

    def polled(self, conn: Any, run: Callable[[], int]) -> int:
        """Look at what has come.

        Args:
            conn: the connection.
            run: takes it.
        """
        if self.pending and not conn.async_:
            return run()  # within a statement, whose end is looked at
        before = Beside(conn)
        with self._failing(conn, before):
            state = run()
        self._has_come(conn, state, before)
        return state

    @step
    def _has_come(self, conn: Any, state: int, before: Beside) -> None:
        before.tell(self, conn)
        if state == _POLL_OK and self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            cursor = waiting()
            self.answered(self._libpq, [MadeResult() if cursor is None else self._result(cursor)])


class _Each:
    """Gives statements to the driver one by one, each when the one before has been answered.

    Args:
        recording: of the connection.
        cursor: that sends them.
        statements: their texts, as they are made.
        template: what the driver has made those texts of.
    """

    def __init__(self, recording: Recording, cursor: Any, statements: Iterable[bytes], template: str) -> None:
        self._template = template
        self._recording = recording
        self._cursor = cursor
        self._statements = iter(statements)
        self._before: Beside | None = None
        self._turn: AbstractContextManager[Any] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._is_answered()
        sent = next(self._statements)
        conn = self._cursor.connection
        turn = self._recording._alone(conn)  # noqa: SLF001 - one with the class above
        turn.__enter__()
        self._turn = turn
        self._before = Beside(conn)
        self._recording._begins(conn)  # noqa: SLF001 - likewise
        self._recording.query(sent, seams.begin, self._template)
        return sent

    def _is_answered(self) -> None:
        if self._before is not None:
            self._recording._over(self._cursor, self._before)  # noqa: SLF001 - likewise
        self.leave()

    def failed(self, error: BaseException) -> None:
        """Take that a statement failed, or that the next one could not be made.

        Args:
            error: what was raised.
        """
        if self._before is not None:
            self._recording.failed(self._cursor.connection, error, self._before)

    def leave(self) -> None:
        """Let other threads take their turn."""
        turn, self._turn, self._before = self._turn, None, None
        if turn is not None:
            turn.__exit__(None, None, None)


def _fetches(sent: bytes) -> bool:
    return sent.startswith((b"FETCH ", b"MOVE ", b"CLOSE ", b"SELECT 1 FROM pg_catalog.pg_cursors"))
