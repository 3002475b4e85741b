"""Sees the parameters of statements as they are given to the database, and adapts each value once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from timetracer_otel.families.dbapi.asking import Parameters
from timetracer_otel.families.dbapi.statements import outline
from timetracer_otel.families.dbapi.typed import Unknown, plain

__all__ = ["Binding"]

_BASE: Final = frozenset({int, float, str, bytes, type(None)})


class _Named(dict[str, Any]):
    """Named parameters, of which the database takes those that it needs.

    Args:
        given: the app's.
        taken: gets them by name, adapted.
        adapt: adapts a value.
    """

    def __init__(self, given: Mapping[str, Any], taken: dict[str, Any], adapt: Callable[[Any], Any]) -> None:
        super().__init__()
        self._given = given
        self._taken = taken
        self._adapt = adapt

    def __getitem__(self, name: str) -> Any:
        value = self._adapt(self._given[name])
        self._taken[name] = plain(value)
        return value


class _Failing:
    """Parameters of which one could not be had or adapted: the database gets those before it, then what was raised.

    Args:
        given: those before it, adapted.
        count: how many there were, which the database looks at first.
        error: what was raised.
    """

    def __init__(self, given: Sequence[Any], count: int, error: Exception) -> None:
        self._given = given
        self._count = count
        self._error = error

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Any:
        if number < len(self._given):
            return self._given[number]
        raise self._error


class Binding:
    """How a database's module binds parameters.

    Args:
        adapters: the module's, by type and protocol.
        adapt: gives what the module makes of a value.
    """

    def __init__(self, adapters: Mapping[tuple[type, Any], Any], adapt: Callable[[Any], Any]) -> None:
        self._adapters = adapters
        self._adapt = adapt
        self._known = -1
        self._unadapted = _BASE

    def watched(self, parameters: Any) -> tuple[Parameters, Any]:
        """Give parameters as they are recorded, and as the database gets them.

        Args:
            parameters: of one execution. What is raised while they are adapted is raised again when the database asks
                for them: no function of the app is called twice.
        """
        if isinstance(parameters, dict):
            taken: dict[str, Any] = {}
            return taken, _Named(parameters, taken, self._adapted)
        given: list[Any] = []
        count = -1
        try:
            count = len(parameters)
            for number in range(count):  # by number, as the database does: an adapter may change the app's list
                given.append(self._adapted(parameters[number]))  # noqa: PERF401 - those before a failure are kept
        except Exception as error:  # noqa: BLE001 - of the app's, or no parameters at all: then the database says so
            has_items = count >= 0 and hasattr(type(parameters), "__getitem__")
            unknown = [Unknown(type(parameters).__qualname__)]
            return unknown, _Failing(given, count, error) if has_items else parameters
        return [plain(value) for value in given], given

    def watched_many(self, items: Iterable[Any], taken: list[Any]) -> Iterable[Any]:
        """Give parameters one after the other, as the database asks for them.

        Args:
            items: the app's.
            taken: gets them as they are recorded.
        """
        for one in items:
            recorded, given = self.watched(one)
            taken.append(recorded)
            yield given

    def needed(self, sql: str, parameters: Any) -> Parameters:
        """Give parameters as they would be recorded, where no database takes them.

        Args:
            sql: the statement.
            parameters: of one execution.
        """
        recorded, given = self.watched(parameters)
        if isinstance(given, _Named):
            for name, _ in outline(sql).named:
                if name not in parameters and not hasattr(parameters, "__missing__"):
                    break  # as the database does, which then raises
                given[name]
        return recorded

    def _adapted(self, value: Any) -> Any:
        if self._known != len(self._adapters):
            self._known = len(self._adapters)
            self._unadapted = _BASE - {kind for kind, _ in self._adapters}
        return value if type(value) in self._unadapted else self._adapt(value)
