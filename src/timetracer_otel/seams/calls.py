"""One outbound call while it happens: its span and the payloads that wait beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from timetracer_otel import spans
from timetracer_otel.seams import exceptions

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span

__all__ = ["Call", "CallLane", "pending"]


class UnderWay(Protocol):
    """What sees a call's payloads pass."""

    def catch_up(self) -> None:
        """Look at what has passed and was not looked at: the call is about to be encoded."""
        ...

    def abandoned(self) -> None:
        """Nothing more will be seen: what has passed until now is all."""
        ...


class CallLane(Protocol):
    """What a call needs of its lane; see :class:`timetracer_otel.seams.lanes.Lane`."""

    id: str
    pid: int

    def complete(self, call: Call) -> None:
        """Take the payloads of a call that has them all."""
        ...

    def late(
        self, call: Call, kind: str, attributes: Callable[[], Iterable[dict[str, spans.Attribute]]], size: int
    ) -> None:
        """Take payloads that a call's own span can take no more."""
        ...


class Call:
    """A call that is being recorded. Holds references to bytes; encodes nothing until it is written.

    Args:
        span: the CLIENT or PRODUCER span of the call.
        lane: the lane that it belongs to.
        on_span: whether its payloads are put on its span, which must be open then.
    """

    __slots__ = ("attributes", "lane", "on_span", "payloads", "span", "state", "under_way", "written")

    def __init__(self, span: Span, lane: CallLane, *, on_span: bool = False) -> None:
        self.span = span
        self.lane = lane
        self.on_span = on_span
        self.payloads: list[tuple[Callable[[str, Any], dict[str, spans.Attribute]], str, Any]] = []
        self.attributes: dict[str, spans.Attribute] = {}
        self.state: Any = None
        """The integration's own, while the call is under way."""
        self.under_way: UnderWay | None = None
        """What still sees a payload pass: the lane then encodes the call only when it is written."""
        self.written = False
        """Whether the call was encoded into a cassette: what comes later goes by :meth:`late`."""

    def put(self, name: str, payload: spans.Payload) -> None:
        """Keep a payload that may be text."""
        self.payloads.append((spans.encode_payload, name, payload))

    def put_binary(self, name: str, payload: spans.Payload) -> None:
        """Keep a payload that is never text."""
        self.payloads.append((spans.encode_binary, name, payload))

    def fail(self, error: BaseException) -> None:
        """Keep the exception that the call's I/O raised."""
        self.attributes[spans.ERROR] = exceptions.encoded(error)

    def size(self) -> int:
        """Bytes of payload held."""
        total = 0
        for _, _, payload in self.payloads:
            total += sum(map(len, payload)) if isinstance(payload, list) else len(payload)
        return total

    def encoded(self) -> dict[str, spans.Attribute]:
        """All attributes to add to the span, payloads encoded."""
        attributes = dict(self.attributes)
        for encode, name, payload in self.payloads:
            attributes |= encode(name, payload)
        return attributes

    def written_out(self) -> dict[str, spans.Attribute]:
        """As :meth:`encoded`, into a cassette: from now on the call's own span can take no more."""
        self.written = True  # first, so that a payload which completes meanwhile is written twice rather than never
        return self.encoded()

    def late(self, kind: str, attributes: Callable[[], Iterable[dict[str, spans.Attribute]]], size: int = 0) -> None:
        """Write payloads of a span that can take no more: as child spans, which the reader folds back.

        Args:
            kind: ``body`` or ``chunk``, see :data:`spans.PART`.
            attributes: encodes the payloads, for one child span after the other; by another thread, or not at all
                when nobody wants them.
            size: bytes that wait meanwhile.
        """
        self.lane.late(self, kind, attributes, size)

    def catch_up(self) -> None:
        """Have what is under way look at what has passed."""
        if self.under_way is not None:
            self.under_way.catch_up()

    def abandon(self) -> None:
        """End what is under way: the process ends, and the garbage collector would when nothing can be written."""
        if self.under_way is not None:
            self.under_way.abandoned()

    def complete(self) -> None:
        """Say that nothing more will be put: called by the integration, if it can before the span ends."""
        if self.on_span:
            self.lane.complete(self)


pending: ContextVar[Call | None] = ContextVar("timetracer_pending", default=None)
"""The call whose span was last started in this context. A seam below the driver finds its span here."""
