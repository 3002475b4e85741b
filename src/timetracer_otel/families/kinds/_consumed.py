"""The facts that entries share which a program takes or runs by itself, addressed by a name alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.trace import SpanKind

from timetracer_otel.families.kinds._outcome import Outcome
from timetracer_otel.seams.entries import Message

__all__ = ["Consumed", "Ran", "RunByItself", "facts", "label"]


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


class RunByItself(Consumed):
    """One that the program itself begins: nothing came in from outside, so it has no messages and no headers."""

    __slots__ = ()

    @property
    def messages(self) -> Sequence[Message]:
        """There are none."""
        return ()

    def header(self, name: str) -> str | None:
        """There are none."""
        return None

    def hide_header(self, name: str, mask: str) -> None:
        """There are none."""


class Ran(Consumed):
    """One of which a value or an exception comes."""

    __slots__ = ()
    outcome: Outcome | None

    @property
    def failed(self) -> bool:
        """Whether it raised."""
        return self.outcome is not None and self.outcome.state == "FAILURE"


def facts(method: str, name: str) -> Callable[[Mapping[str, object]], dict[str, Any]]:
    """Give what tells the facts of a recorded entry that is addressed by its name.

    Args:
        method: of its kind.
        name: the attribute that holds its name.
    """

    def told(attributes: Mapping[str, object]) -> dict[str, Any]:
        target = str(attributes.get(name, ""))
        return {"method": method, "target": target, "route": target}

    return told


def label(method: str, name: str) -> Callable[[Mapping[str, object]], tuple[str | None, str | None]]:
    """Give what tells of such an entry what a list shows: its method and name.

    Args:
        method: of its kind.
        name: the attribute that holds its name.
    """
    return lambda attributes: (method, str(attributes.get(name, "")))
