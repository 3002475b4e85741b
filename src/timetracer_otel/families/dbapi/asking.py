"""The question to a database, as it is recorded, hidden and read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final, TypeAlias

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.dbapi import typed
from timetracer_otel.families.dbapi.statements import StatementOutline, outline

__all__ = ["Asked", "Parameters", "encode", "read"]

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]

_SAMPLED: Final = 64
"""Items that are weighed of a longer list."""
_HEAVY: Final = 64 * 1024
"""Bytes above which an item of a sample is an exception."""
_ANY: Final = "x" * 64
"""A value that may be a secret if its name says so."""
_NUMBERS: Final = frozenset({int, float, type(None)})
_EACH: Final = 8
"""Bytes that a value is taken to have which is no text."""


@dataclass(slots=True)
class Asked:
    """One operation of a connection or a cursor.

    Attributes:
        system: the database's name, such as ``sqlite``.
        operation: the method: ``execute``, ``executemany``, ``commit`` …
        database: which one, as the app names it.
        sql: the statement; empty for what is none.
        parameters: what is bound to it, adapted; of other operations their arguments.
        many: whether the parameters are a list of such.
        in_transaction: whether a transaction was open when it was asked.
    """

    system: str
    operation: str
    database: str = ""
    sql: str = ""
    parameters: Parameters = ()
    many: bool = False
    in_transaction: bool = False
    secret: bool = field(default=False, compare=False)
    """Whether it holds a secret that is not known here."""

    def __len__(self) -> int:
        return len(self.sql) + weight(self.parameters)

    @property
    def outline(self) -> StatementOutline:
        """The facts in the statement's text."""
        return outline(self.sql)

    def hidden(self) -> Asked:
        """The same with secrets hidden: texts that are bound to a parameter or a column whose name speaks of one."""
        return self._with(redaction.hide) if _speaks_of_secrets(self.sql) else self

    def opened(self) -> Asked:
        """The same with hidden secrets put back, where there is a key."""
        if not _speaks_of_secrets(self.sql):
            return self
        opened = self._with(redaction.opened)
        opened.secret = opened._holds_hidden()  # noqa: SLF001 - of its own class
        return opened

    def blanked(self) -> Asked:
        """The same with every secret alike."""
        return self._with(lambda _secret: redaction.MASK)

    def has_secrets(self) -> bool:
        """Whether anything in it is hidden when it is recorded."""
        if not _speaks_of_secrets(self.sql):
            return False
        found: list[str] = []

        def look(secret: str) -> str:
            found.append(secret)
            return secret

        self._with(look)
        return bool(found)

    def _holds_hidden(self) -> bool:
        found: list[bool] = []

        def look(secret: str) -> str:
            found.append(redaction.hidden(secret))
            return secret

        self._with(look)
        return any(found)

    def _with(self, how: redaction.Hide) -> Asked:
        if not self.sql or not self.parameters:
            return replace(self)
        one = self.outline
        if self.many:
            parameters: Parameters = [_changed(item, one, how) for item in self.parameters]
        else:
            parameters = _changed(self.parameters, one, how)
        return replace(self, parameters=parameters)


@lru_cache(maxsize=1024)
def _speaks_of_secrets(sql: str) -> bool:
    """Whether a value may be bound to a statement that is a secret: most have none, and are not looked through."""
    one = outline(sql)
    names = {*one.bound, *(name for both in one.named for name in both)}
    return any(name and redaction.is_secret_parameter(name, _ANY) for name in names)


def _changed(parameters: Any, one: StatementOutline, how: redaction.Hide) -> Parameters:
    if isinstance(parameters, Mapping):
        columns = dict(one.named)
        return {name: _value((name, columns.get(name, "")), value, how) for name, value in parameters.items()}
    names = one.bound or tuple(column or name for name, column in one.named)
    return [
        _value((names[number],) if number < len(names) else (), value, how) for number, value in enumerate(parameters)
    ]


def _value(names: Iterable[str], value: Any, how: redaction.Hide) -> Any:
    if type(value) is str and any(name and redaction.is_secret_parameter(name, value) for name in names):
        return how(value)
    return value


def weight(values: Any) -> int:
    """Bytes that values have, about.

    Args:
        values: nested as they may be; of a long list a sample is looked at.
    """
    kind = type(values)
    if kind is str or kind is bytes:
        return len(values)
    if kind is dict:
        values = list(values.values())
    elif kind is not list and kind is not tuple:
        return _EACH
    if len(values) <= _SAMPLED:
        total = 0
        for value in values:
            kind = type(value)
            total += len(value) if kind is str or kind is bytes else _EACH if kind in _NUMBERS else weight(value)
        return total
    sample = list(map(weight, values[:: len(values) // _SAMPLED]))
    if max(sample) > _HEAVY:  # nothing is said by it of the others
        return sum(map(weight, values))
    return sum(sample) * len(values) // len(sample)


def encode(name: str, asked: Any) -> dict[str, spans.Attribute]:
    """Encode what was asked, secrets hidden.

    Args:
        name: of the attribute.
        asked: an :class:`Asked`.
    """
    asked = asked.hidden()
    document: dict[str, Any] = {"system": asked.system, "do": asked.operation}
    document |= {key: value for key, value in (("database", asked.database), ("sql", asked.sql)) if value}
    if asked.parameters or asked.many:
        document["parameters"] = asked.parameters
    for key in ("many", "in_transaction"):
        if getattr(asked, key):
            document[key] = True
    return spans.encode_payload(name, typed.encoded(document))


def read(recorded: Span) -> Asked | None:
    """Read what a recorded call asked; None when it does not say.

    Args:
        recorded: its span.

    Raises:
        CassetteError: it is damaged.
    """
    asked = typed.read(recorded, spans.REQUEST, "statement", _asked)
    return None if asked is None else asked.opened()


def _asked(document: dict[str, Any], _payload: bytes) -> Asked:
    given, many = document.get("parameters", []), bool(document.get("many"))
    return Asked(
        document["system"],
        document["do"],
        typed.decoded(document.get("database", "")),
        typed.decoded(document.get("sql", "")),
        [_parameters(item) for item in given] if many else _parameters(given),
        many,
        bool(document.get("in_transaction")),
    )


def _parameters(given: Any) -> Parameters:
    if isinstance(given, dict):
        return {name: typed.decoded(value) for name, value in given.items()}
    parameters: list[Any] = typed.decoded(given)
    return parameters
