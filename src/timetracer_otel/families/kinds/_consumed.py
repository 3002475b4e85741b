"""The facts that entries share which a program takes or runs by itself, addressed by a name alone."""

from __future__ import annotations

from abc import ABC, abstractmethod

from opentelemetry.trace import SpanKind

from timetracer_otel.families.kinds._outcome import Outcome

__all__ = ["Consumed", "Ran"]


class Consumed(ABC):
    """An entry that nobody asked for from outside."""

    __slots__ = ()
    target: str

    @property
    @abstractmethod
    def method(self) -> str:
        """The word that file names and lists begin with."""

    @property
    def span_kind(self) -> SpanKind:
        """The kind of a span of our own."""
        return SpanKind.CONSUMER

    @property
    def path(self) -> str:
        """The name that it is addressed by."""
        return self.target

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.method} {self.target}"


class Ran(Consumed):
    """One of which a value or an exception comes."""

    __slots__ = ()
    outcome: Outcome | None

    @property
    def failed(self) -> bool:
        """Whether it raised."""
        return self.outcome is not None and self.outcome.state == "FAILURE"
