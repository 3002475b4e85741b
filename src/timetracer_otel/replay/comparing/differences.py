"""The faults that a verification can find in a request or a script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from timetracer_otel.replay.comparing.values import FieldDifference

__all__ = ["Difference", "Drawn", "Kind"]

Kind: TypeAlias = Literal[
    "status",
    "outcome",
    "header",
    "body",
    "missing",
    "extra",
    "changed",
    "reordered",
    "refused",
    "output",
    "exit status",
    "error",
    "slower",
]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was recorded.

    Attributes:
        kind: which part; ``missing``, ``extra``, ``changed`` and ``reordered`` are calls.
        what: the header's name, the call in words, or what happened.
        fields: where it differs.
        warning: whether it is only told and fails nothing.
        span: the recorded call, where there is one.
        consequences: what followed from it, and is no difference of its own.
        number: the place in the live run of a call that nothing answered, from 1; 0 of all else.
        start: when the recorded call began, where that is known.
        note: the place in the live run of the call that this is about; 0 where there is none.
        assumed: whether it rests on an answer to a call that asked something else (``--on-miss nearest``).
    """

    kind: Kind
    what: str
    fields: tuple[FieldDifference, ...] = ()
    warning: bool = False
    span: str | None = None
    consequences: tuple[Difference, ...] = ()
    number: int = 0
    start: int = 0
    note: int = 0
    assumed: bool = False

    @property
    def flat(self) -> Iterator[Difference]:
        """This one, and what followed from it."""
        yield self
        for one in self.consequences:
            yield from one.flat

    def __str__(self) -> str:
        more = f" (and {len(self.fields) - 1} more)" if len(self.fields) > 1 else ""
        where = f": {self.fields[0]}{more}" if self.fields else ""
        return f"{self.kind}{' ' + self.what if self.what else ''}{where}"

    def as_json(self) -> dict[str, Any]:
        """The difference as data."""
        return {
            "kind": self.kind,
            "what": self.what,
            "fields": [one.as_json() for one in self.fields],
            "warning": self.warning,
            "span": self.span,
            "assumed": self.assumed,
            "consequences": [one.as_json() for one in self.consequences],
        }


@dataclass(frozen=True, slots=True)
class Drawn:
    """Values that the app drew and that the recording does not have: a likely cause of what differs.

    Attributes:
        kind: such as ``uuid4``.
        module: of the app.
        statement: that drew.
        times: how often.
    """

    kind: str
    module: str
    statement: str
    times: int

    def __str__(self) -> str:
        often = f" ({self.times} times)" if self.times > 1 else ""
        return f"{self.kind} in {self.module}: {self.statement}{often}"

    def as_json(self) -> dict[str, Any]:
        """The draws as data."""
        return {"kind": self.kind, "module": self.module, "statement": self.statement, "times": self.times}
