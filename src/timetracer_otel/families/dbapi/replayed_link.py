"""A connection that is replayed: a real one that holds nothing, which says what the recorded one was told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timetracer_otel import seams
from timetracer_otel.families import failures
from timetracer_otel.families.dbapi import matching, replaying
from timetracer_otel.families.dbapi.asking import Asked, Parameters
from timetracer_otel.families.dbapi.driver import ConnectionLink, Driver
from timetracer_otel.families.dbapi.fetching import GivenRows
from timetracer_otel.families.dbapi.told import Told
from timetracer_otel.families.dbapi.typed import plain
from timetracer_otel.seams import Responder

__all__ = ["ReplayedLink"]


class ReplayedLink(ConnectionLink):
    """Answers the calls of a connection.

    Args:
        driver: the module.
        database: as the app names it.
        show: lets a real cursor check that it can be used, and gives it columns.
    """

    def __init__(self, driver: Driver, database: object, show: Callable[[Any, list[str] | None], None]) -> None:
        super().__init__(driver, database)
        self.callbacks: dict[str, Any] = {}
        """Callbacks of the app that the recorded ones stand for, by what they are."""
        self._show = show
        self._state: tuple[bool, int] | None = None

    def responder(self) -> Responder:
        """Give the responder of this process.

        Raises:
            Exception: the module's: the replay is over.
        """
        responder = seams.responder(self.driver.plugin)
        if responder is None:
            raise self.driver.unusable("this connection is of a replay that is over: connect again")
        return responder

    def connect(self) -> None:
        """Fail to open the connection, if the recorded program did."""
        failures.raise_upcoming(self.responder(), matching.describe(self.opening()))

    def rows(self) -> GivenRows:
        """Give what gives the rows of a new cursor."""
        return GivenRows(self.responder, lambda: self.text_factory, self.driver.converters)

    def in_transaction(self, connection: Any) -> bool:
        """Whether the recorded connection had a transaction open; of one that is closed the module raises."""
        real = super().in_transaction(connection)
        return real if self._state is None else self._state[0]

    def changes(self, connection: Any) -> int:
        """How many rows the recorded connection had changed; of one that is closed the module raises."""
        real = super().changes(connection)
        return real if self._state is None else self._state[1]

    def call(self, connection: Any, operation: str, parameters: list[Any], _go: object) -> Any:
        """Give what a method gave that gives no rows.

        Args:
            connection: that it is a method of.
            operation: its name.
            parameters: what it is given.
        """
        return self._tell(self.asked(connection, operation, parameters)).value

    def statement(self, cursor: Any, rows: GivenRows, _go: object, operation: str, *args: Any) -> Any:
        """Answer a statement on a cursor.

        Args:
            cursor: the cursor.
            rows: what gives its rows.
            operation: the method's name.
            args: the statement, and its parameters if it is given any.
        """
        rows.begin(Told())
        many = operation == "executemany"
        parameters: Parameters = ()
        if len(args) > 1:
            needed = self.driver.binding.needed
            parameters = [needed(args[0], one) for one in args[1]] if many else needed(args[0], args[1])
        asked = self.asked(cursor.connection, operation, parameters, plain(args[0]), many=many)
        told = self._tell(asked, rows.begin)
        self._show(cursor, told.columns)
        return cursor

    def _tell(self, asked: Asked, hold: Callable[[Told], None] | None = None) -> Told:
        """Give what a call was told; what holds it knows also what was left behind by a call that failed."""
        told, error = replaying.ask(self.responder(), asked)
        if hold is not None:
            hold(told)
        stays = error is None and asked.operation == "execute" and asked.outline.reads  # whoever had asked it
        self._state = asked.in_transaction if stays else told.in_transaction, told.changes
        for what, *args in told.noticed:
            callback = self.callbacks.get(what)
            if callback is not None:
                callback(*args)
        if error is not None:
            raise error
        return told
