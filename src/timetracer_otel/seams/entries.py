"""The protocol of entries: an entry starts a lane, and its seam sees it pass while the lane runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from opentelemetry.trace import SpanKind

from timetracer_otel import spans
from timetracer_otel.cassette.kinds import Texts

__all__ = ["Entry", "Headers", "Message"]

Headers: TypeAlias = list[tuple[str, str]]
"""Header pairs in order, duplicates kept, names as received, bytes decoded as latin-1."""


class Message(Protocol):
    """A message that came in or went out; it may grow while the lane runs."""

    body: list[bytes]
    """The pieces that are held now: those of a large message leave for the disk meanwhile."""

    @property
    def payload(self) -> str:
        """The attribute that it goes into."""
        ...


class Entry(Protocol):
    """An entry starts a lane, and knows what came of it. Each kind of entry has a class in ``families``.

    Its recorded side is an :class:`timetracer_otel.cassette.kinds.EntryKind` of the same name.
    """

    @property
    def kind(self) -> str:
        """Such as ``http``, ``task``, ``message``."""
        ...

    @property
    def span_kind(self) -> SpanKind:
        """The kind of the span that we make where no instrumentor makes one: SERVER or CONSUMER."""
        ...

    @property
    def method(self) -> str:
        """The word that file names and lists begin with: a request's method, ``TASK``."""
        ...

    @property
    def target(self) -> str:
        """The full address: path and query, or a task's name."""
        ...

    @property
    def path(self) -> str:
        """The part of the target that rules and file names go by, where no instrumentor knows the route."""
        ...

    @property
    def name(self) -> str:
        """Method and target for people, secrets hidden."""
        ...

    @property
    def messages(self) -> Sequence[Message]:
        """The message that came in; behind it the one that went out, once that has begun."""
        ...

    @property
    def failed(self) -> bool:
        """Whether it ended badly, as far as its outcome says; an exception that left it is known apart."""
        ...

    @property
    def texts(self) -> Texts:
        """Give the texts that it has brought so far."""
        ...

    def header(self, name: str) -> str | None:
        """The first header of that lower-case name; None without one."""
        ...

    def hide_header(self, name: str, mask: str) -> None:
        """Record a mask instead of a header's values; the app has them as they came.

        Args:
            name: lower-case.
            mask: what is recorded.
        """
        ...

    def attributes(self, error: BaseException | None) -> dict[str, spans.Attribute]:
        """Encode it and its outcome as span attributes, redacted.

        Args:
            error: what left the app.
        """
        ...
