"""The family's view of a database's module, below every method of the app's."""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from timetracer_otel.families.dbapi.asking import Asked, Parameters
from timetracer_otel.families.dbapi.binding import Binding

__all__ = ["ConnectionLink", "Driver"]


@dataclass(frozen=True)
class Driver:
    """A module, as its integration declares it. What it reads of objects it reads of the module's own classes.

    Args:
        plugin: the integration's name.
        system: the database's, by the semantic conventions.
        binding: how parameters are bound.
        converters: what makes values of columns, by name.
        error: the root of the module's exceptions.
        unusable: raised where a connection cannot be used any more.
        misuse: raised where an object is used wrongly.
        in_transaction: whether a connection has one open.
        changes: how many rows a connection has changed.
        count: a cursor's number of rows.
        last_id: the row that a cursor inserted last.
        description: a cursor's columns.
        exhausted: whether a cursor is known to have no more rows.
    """

    plugin: str
    system: str
    binding: Binding
    converters: MutableMapping[str, Callable[[bytes], Any]]
    error: type[Exception]
    unusable: type[Exception]
    misuse: type[Exception]
    in_transaction: Callable[[Any], bool]
    changes: Callable[[Any], int]
    count: Callable[[Any], int]
    last_id: Callable[[Any], int | None]
    description: Callable[[Any], Any]
    exhausted: Callable[[Any], bool]


class ConnectionLink:
    """Stands behind one connection and carries its calls.

    Args:
        driver: the module.
        database: as the app names it.
    """

    def __init__(self, driver: Driver, database: object) -> None:
        self.driver = driver
        self.database = os.fsdecode(database) if isinstance(database, str | bytes | os.PathLike) else ""
        self.row_factory: Any = None
        self.text_factory: Any = str

    def opening(self) -> Asked:
        """Say what opening the connection asks: in another run the folder may be another one, the name is not."""
        return Asked(self.driver.system, "connect", self.database, parameters=[PurePath(self.database).name])

    def in_transaction(self, connection: Any) -> bool:
        """Whether a connection has a transaction open.

        Raises:
            Exception: the module's: it is closed.
        """
        return self.driver.in_transaction(connection)

    def changes(self, connection: Any) -> int:
        """How many rows a connection has changed.

        Raises:
            Exception: the module's: it is closed.
        """
        return self.driver.changes(connection)

    def asked(
        self, connection: Any, operation: str, parameters: Parameters = (), sql: str = "", *, many: bool = False
    ) -> Asked:
        """Put together what is asked on a connection.

        Args:
            connection: open or closed.
            operation: the method's name.
            parameters: what it is given.
            sql: the statement, if it is one.
            many: whether it is executed once for each of the parameters.
        """
        try:
            open_before = self.in_transaction(connection)
        except self.driver.error:  # closed, or never opened
            open_before = False
        return Asked(self.driver.system, operation, self.database, sql, parameters, many, open_before)
