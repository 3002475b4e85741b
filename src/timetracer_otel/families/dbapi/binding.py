"""Sees the parameters of statements as they are given to the database, and adapts each value once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
            parameters: of one execution. Where adapting them fails the database gets them as they are: it asks the
                app's adapter again, and raises the same at its own time.
        """
        try:
            if isinstance(parameters, dict):
                taken: dict[str, Any] = {}
                return taken, _Named(parameters, taken, self._adapted)
            if not isinstance(parameters, tuple | list):
                parameters = [parameters[number] for number in range(len(parameters))]
            given = [self._adapted(value) for value in parameters]
        except Exception:  # noqa: BLE001 - of an adapter of the app, or no parameters at all
            return [Unknown(type(parameters).__qualname__)], parameters
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
