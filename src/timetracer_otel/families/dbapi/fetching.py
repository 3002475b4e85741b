"""The rows of a cursor: seen as the app fetches them, and given back as it does again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from timetracer_otel.families import failures
from timetracer_otel.families.dbapi import below, typed
from timetracer_otel.families.dbapi.recording import OperationRecording
from timetracer_otel.families.dbapi.told import Row, Told
from timetracer_otel.seams import Responder

__all__ = ["GivenRows", "SeenRows"]


class SeenRows:
    """The rows of a recorded cursor.

    Args:
        misuse: what the database's module raises when a cursor is used wrongly, which a replay finds by itself.
        exhausted: whether a cursor is known to have no more rows.
        made: whether functions of the app make values of the rows.
        look: sees what a replay must show of the cursor and its connection.
    """

    def __init__(
        self,
        misuse: type[Exception],
        exhausted: Callable[[Any], bool],
        made: Callable[[], bool],
        look: Callable[[Any, Told], None],
    ) -> None:
        self.row_factory: Any = None
        self.recording: OperationRecording | None = None
        self._misuse = misuse
        self._exhausted = exhausted
        self._made = made
        self._look = look

    def one(self, cursor: Any, fetch: Callable[[], Any]) -> Any:
        """Fetch a row, None when there is none.

        Args:
            cursor: the cursor.
            fetch: does it.
        """
        if self.recording is None:
            return fetch()
        row, known = self._fetched(fetch)
        if row is None:
            self.end(cursor, ended=True)
        else:
            self._keep((row,) if known is None else known)
        return row

    def next(self, cursor: Any, fetch: Callable[[], Any]) -> Any:
        """As :meth:`one`, for an iteration.

        Raises:
            StopIteration: there is none.
        """
        if self.recording is None:
            return fetch()
        try:
            row, known = self._fetched(fetch)
        except StopIteration:
            self.end(cursor, ended=True)
            raise
        self._keep((row,) if known is None else known)
        return row

    def many(self, cursor: Any, size: int | None, fetch: Callable[[], Any]) -> Any:
        """As :meth:`one`, of several.

        Args:
            cursor: the cursor.
            size: how many at most; None for all.
            fetch: does it.
        """
        if self.recording is None:
            return fetch()
        rows, known = self._fetched(fetch)
        self._keep(rows if known is None else known)
        if size is None or len(rows) < size:
            self.end(cursor, ended=True)
        return rows

    def _keep(self, rows: Iterable[Any]) -> None:
        if self.recording is not None:
            self.recording.told.rows.extend(rows)

    def _fetched(self, fetch: Callable[[], Any]) -> tuple[Any, list[Any] | None]:
        """Fetch: what the app gets, and the rows as the database holds them where these are others."""
        try:
            if not self._made():
                return fetch(), None
            found, notes = below.fetched(fetch)
        except (StopIteration, self._misuse):
            raise
        except BaseException as error:
            if self.recording is not None:
                self.recording.fetching_failed(error)
            raise
        if found is None:
            return None, []
        return found, below.underlying([found] if type(found) is tuple else found, notes)

    def end(self, cursor: Any, *, ended: bool) -> None:
        """Nothing more is fetched of this result.

        Args:
            cursor: the cursor.
            ended: whether there is nothing left.
        """
        under_way, self.recording = self.recording, None
        if under_way is None:
            return
        told, before = under_way.told, replace(under_way.told)
        by_now = ended or self._exhausted(cursor)
        if by_now:
            self._look(cursor, told)
            if told.count != before.count:
                told.count, told.last_count = before.count, told.count
            told.in_transaction = before.in_transaction  # which fetching does not change, and others may have
            if not ended:  # it did with the last row, which was fetched some time ago
                told.changes = before.changes
        under_way.finish(ended=by_now)

    def shown(self, _name: str, real: Any) -> Any:
        """Give the cursor's own attribute: it is a real one."""
        return real


class GivenRows:
    """The rows of a replayed cursor.

    Args:
        responder: of this process.
        text_factory: gives the connection's.
        converters: the module's, by name.
    """

    def __init__(
        self,
        responder: Callable[[], Responder],
        text_factory: Callable[[], Any],
        converters: Mapping[str, Callable[[bytes], Any]],
    ) -> None:
        self.row_factory: Any = None
        self._told = Told()
        self._at = 0
        self._responder = responder
        self._text_factory = text_factory
        self._converters = converters

    def begin(self, told: Told) -> None:
        """Take what a statement was told.

        Args:
            told: of its recorded call.
        """
        self._told, self._at = told, 0

    def one(self, _cursor: Any, check: Callable[[], Any]) -> Any:
        """Give a row, None when there is none.

        Args:
            check: asks a real cursor without rows, which raises where it is used wrongly.
        """
        check()
        rows = self._take(1)
        return rows[0] if rows else None

    def next(self, _cursor: Any, check: Callable[[], Any]) -> Any:
        """As :meth:`one`, for an iteration.

        Raises:
            StopIteration: there is none.
        """
        try:
            check()
        except StopIteration:
            rows = self._take(1)
            if rows:
                return rows[0]
            raise
        raise AssertionError("a cursor without rows gave one")

    def many(self, _cursor: Any, size: int | None, check: Callable[[], Any]) -> Any:
        """As :meth:`one`, of several.

        Args:
            size: how many at most; None for all.
            check: likewise.
        """
        check()
        return self._take(size)

    def _take(self, size: int | None) -> list[Any]:
        told, start = self._told, self._at
        rows = told.rows[start : None if size is None else start + size]
        if typed.Failed in map(type, rows):
            self._fail(rows)
        self._at = start + len(rows)
        if size is None or len(rows) < size:
            self._end(told)
        return [self._made(row) for row in rows if type(row) is tuple]

    def _fail(self, rows: list[Row]) -> None:
        """Raise what fetching raised. The rows before it in the same fetch are lost, as they were."""
        number, failed = next((number, row) for number, row in enumerate(rows) if isinstance(row, typed.Failed))
        self._at += number + 1
        raise failures.error_of(self._responder(), failed.error)

    def _end(self, told: Told) -> None:
        if not told.ended:
            self._responder().refuse(
                f"the app fetches more rows than the {len(told.rows)} that it fetched in the recording: "
                "record it to where it reads now"
            )

    def _made(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """Let converters and the factory of texts make their values."""
        kinds = set(map(type, row))
        if typed.Converted not in kinds and typed.Text not in kinds:
            return row
        return tuple(map(self._value, row))

    def _value(self, value: Any) -> Any:
        if isinstance(value, typed.Text):
            return self._text_factory()(value.raw)
        if isinstance(value, typed.Converted):
            converter = self._converters.get(value.converter)
            return value.raw if converter is None else converter(value.raw)
        return value

    def end(self, _cursor: Any, *, ended: bool) -> None:
        """Nothing more is fetched of this result.

        Args:
            ended: whether there is nothing left.
        """

    def shown(self, name: str, _real: Any) -> Any:
        """Give the attribute that the recorded cursor showed.

        Args:
            name: ``description``, ``rowcount`` or ``lastrowid``.
        """
        told = self._told
        if name == "description":
            return None if told.columns is None else tuple((column, *[None] * 6) for column in told.columns)
        if name == "lastrowid":
            return told.last_id
        return told.count if self._at < len(told.rows) else told.current_count
