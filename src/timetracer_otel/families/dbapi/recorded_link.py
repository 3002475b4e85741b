"""A connection that is recorded: it does what it does, and is looked at."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial, wraps
from typing import Any
from weakref import ref

from timetracer_otel import seams
from timetracer_otel.families.dbapi import below, recording
from timetracer_otel.families.dbapi.asking import Asked, Parameters
from timetracer_otel.families.dbapi.driver import ConnectionLink, Driver
from timetracer_otel.families.dbapi.fetching import SeenRows
from timetracer_otel.families.dbapi.recording import OperationRecording
from timetracer_otel.families.dbapi.told import Told
from timetracer_otel.families.dbapi.typed import plain

__all__ = ["RecordedLink"]

_OWN_TEXTS = (str, bytes)
"""Factories of texts that make what is recorded anyway."""


class RecordedLink(ConnectionLink):
    """Records the calls of a connection.

    Args:
        driver: the module.
        database: as the app names it.
        converts: whether columns are converted by functions of the app.
    """

    def __init__(self, driver: Driver, database: object, *, converts: bool) -> None:
        super().__init__(driver, database)
        self._converts = converts
        self._under_way: list[Told] = []
        """The answers to the calls that are under way: a callback may ask the connection that calls it."""

    def rows(self) -> SeenRows:
        """Give what sees the rows of a new cursor."""
        return SeenRows(self.driver.misuse, self.driver.exhausted, self._makes_values, self._look)

    def _makes_values(self) -> bool:
        return self._converts or self.text_factory not in _OWN_TEXTS

    def noted_texts(self, factory: Any) -> Any:
        """Give what the module shall make texts by, so that they are seen below it.

        Args:
            factory: the app's, from now on.
        """
        self.text_factory = factory
        return factory if factory in _OWN_TEXTS or not callable(factory) else below.texts(factory)

    def noticing(self, what: str, callback: Any) -> Any:
        """Give a callback whose arguments are recorded with the call that is under way.

        Args:
            what: it is.
            callback: the app's; None for none.
        """
        if not callable(callback):
            return callback  # None for none; else the module says what is wrong

        @wraps(callback, updated=())  # the app's name for it stands in what is printed of its exceptions
        def noticed(*args: Any) -> Any:
            if self._under_way:
                self._under_way[-1].noticed.append([what, *args])
            return callback(*args)

        return noticed

    def failed_to_connect(self, error: Exception) -> None:
        """Record a connection that could not be opened.

        Args:
            error: what was raised.
        """
        under_way = self._begin(self.opening())
        if under_way is not None:
            under_way.failed(error)

    def call(self, connection: Any, operation: str, parameters: list[Any], go: Callable[[], Any]) -> Any:
        """Run what gives no rows.

        Args:
            connection: that it is a method of.
            operation: its name.
            parameters: what it is given.
            go: runs it.
        """
        self.refuse_in_replay()
        under_way = self._begin(self.asked(connection, operation, parameters))
        if under_way is None:
            return go()
        try:
            value = go()
        except BaseException as error:
            self._look_at(connection, under_way.told)
            under_way.failed(error)
            raise
        under_way.told.value = value if type(value) in {int, bytes} else None
        self._look_at(connection, under_way.told)
        under_way.answered()
        return value

    def statement(self, cursor: Any, rows: SeenRows, go: Callable[..., Any], operation: str, *args: Any) -> Any:
        """Run a statement on a cursor.

        Args:
            cursor: the cursor.
            rows: what sees its rows.
            go: runs it.
            operation: the method's name.
            args: the statement, and its parameters if it is given any.
        """
        self.refuse_in_replay()
        rows.end(cursor, ended=False)
        sql, given = args[0], args[1:]
        recorded, passed, many = self._parameters(operation, given)
        asked = self.asked(cursor.connection, operation, recorded, plain(sql), many=many)
        under_way = self._begin(asked)
        if under_way is None:
            return go(*args)
        try:
            with below.converting(self.driver.converters) if self._converts else nullcontext():
                result = go(sql, *passed)
        except BaseException as error:
            if many and isinstance(given[0], list | tuple):  # also those that the database did not get to
                asked.parameters = [self.driver.binding.watched(one)[0] for one in given[0]]
            self._look(cursor, under_way.told)
            under_way.failed(error)
            raise
        description = self.driver.description(cursor)
        if description is not None and operation == "execute":
            under_way.told.columns = [column[0] for column in description]
            rows.recording = under_way
            under_way.exhausted = partial(_is_exhausted, self.driver, ref(cursor))
        self._look(cursor, under_way.told)
        under_way.answered()
        return result

    def _parameters(self, operation: str, given: tuple[Any, ...]) -> tuple[Parameters, tuple[Any, ...], bool]:
        if not given:
            return (), given, False
        if operation == "execute":
            recorded, passed = self.driver.binding.watched(given[0])
            return recorded, (passed,), False
        taken: list[Any] = []
        return taken, (self.driver.binding.watched_many(given[0], taken),), True

    def refuse_in_replay(self) -> None:
        """Keep a connection that was opened before a replay from being used in it.

        Raises:
            Exception: the module's.
        """
        if seams.responder(self.driver.plugin) is not None:
            raise self.driver.unusable("this connection was opened before the replay began: connect again")

    def _begin(self, asked: Asked) -> OperationRecording | None:
        under_way = recording.begin(self.driver.plugin, asked)
        if under_way is not None:
            self._under_way.append(under_way.told)
        return under_way

    def _look(self, cursor: Any, told: Told) -> None:
        """See what a replay must show of a cursor after a call."""
        told.count, told.last_id = self.driver.count(cursor), self.driver.last_id(cursor)
        self._look_at(cursor.connection, told)

    def _look_at(self, connection: Any, told: Told) -> None:
        """See what a replay must show of a connection after a call."""
        self._under_way = [one for one in self._under_way if one is not told]
        try:
            told.in_transaction, told.changes = self.in_transaction(connection), self.changes(connection)
        except self.driver.error:
            return  # it is closed


def _is_exhausted(driver: Driver, cursor: ref[Any]) -> bool:
    living = cursor()
    return living is not None and driver.exhausted(living)
