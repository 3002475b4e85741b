"""One outbound call while it happens: its span, whoever started it, and the payloads that wait beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from opentelemetry.trace import SpanKind, Status, StatusCode

from timetracer_otel import spans
from timetracer_otel.seams import exceptions, faults
from timetracer_otel.seams.brokering import is_brokering

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span

__all__ = [
    "CARRIED",
    "Call",
    "CallLane",
    "Named",
    "begin",
    "ending",
    "instrumented",
    "pending",
    "start",
    "starting",
    "switched_off",
]


_UNCHANGING: Final = frozenset({bytes, list})
"""Types of payloads. A list of chunks is not touched any more once its call has ended."""
_COPIED: Final = 1 << 16
"""Bytes of a buffer that are copied at most."""
_now: Final = time.time_ns  # as it is now: what the app reads may be replayed


class UnderWay(Protocol):
    """Sees a call's payloads pass."""

    def catch_up(self) -> None:
        """Look at what has passed and was not looked at: the call is about to be encoded."""
        ...

    def abandoned(self) -> None:
        """Nothing more will be seen: what has passed until now is all."""
        ...


class CallLane(Protocol):
    """The part of a lane that a call needs; see :class:`timetracer_otel.seams.lanes.Lane`."""

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

    __slots__ = ("attributes", "lane", "on_span", "over", "own", "payloads", "span", "taken", "under_way", "written")

    def __init__(self, span: Span, lane: CallLane, *, on_span: bool = False) -> None:
        self.span = span
        self.lane = lane
        self.on_span = on_span
        self.payloads: list[tuple[Callable[[str, Any], dict[str, spans.Attribute]], str, Any]] = []
        self.attributes: dict[str, spans.Attribute] = {}
        self.taken = False
        """Whether a seam knows that this span is the call that it sees: no other takes it then."""
        self.own = False
        """Whether the span is ours to end."""
        self.over = False
        """Whether nothing more will be put."""
        self.under_way: UnderWay | None = None
        """Set while a payload is still passing: the lane then encodes the call only when it is written."""
        self.written = False
        """Whether the call was encoded into a cassette: what comes later goes by :meth:`late`."""

    def put(self, name: str, payload: spans.Payload) -> None:
        """Keep a payload that may be text."""
        self.payloads.append((spans.encode_payload, name, payload))

    def put_binary(self, name: str, payload: spans.Payload) -> None:
        """Keep a payload that is never text."""
        self.payloads.append((spans.encode_binary, name, payload))

    def put_replies(self, pieces: list[bytes]) -> None:
        """Keep what several replies to one call were, such as those of a pipeline; a replay gives them one by one."""
        self.put_binary(spans.RESPONSE, pieces)
        self.attributes |= spans.encode_replies(pieces)

    def follow(self, span_id: str) -> None:
        """Say that nothing asked for this: it is the next of a stream.

        Args:
            span_id: of the call that opened the stream, or of the one before in there; see :attr:`span_id`.
        """
        self.attributes[spans.FOLLOWS] = span_id

    @property
    def span_id(self) -> str:
        """The id of its span, as a cassette has it."""
        return f"{self.span.get_span_context().span_id:016x}"

    def fail(self, error: BaseException) -> None:
        """Keep the exception that the call's I/O raised; that an app gave up waiting is no error of the call."""
        self.attributes[spans.ERROR] = exceptions.encoded(error)
        if self.own and not isinstance(error, asyncio.CancelledError | GeneratorExit):
            self.span.set_status(Status(StatusCode.ERROR))

    def size(self) -> int:
        """Bytes of payload held."""
        total = 0
        for _, _, payload in self.payloads:
            total += sum(map(len, payload)) if type(payload) is list else len(payload)
        return total

    def settle(self) -> bool:
        """Let nothing that it holds change any more, so that it may be encoded a little later; whether that can be."""
        for number, (encode, name, payload) in enumerate(self.payloads):
            if encode is spans.encode_binary or encode is spans.encode_payload:
                if type(payload) in _UNCHANGING:
                    continue
                if len(payload) > _COPIED:
                    return False
                self.payloads[number] = encode, name, bytes(payload)
            elif not getattr(payload, "is_settled", False):
                return False
        return self.under_way is None

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

    def end(self) -> None:
        """Say that nothing more will be put, and end the span if it is ours; what is late for it gets child spans."""
        if (shown := ending.get()) is not None:
            shown(self)
        is_late, self.under_way, self.over = self.under_way is not None, None, True
        if self.on_span:
            self.lane.complete(self)
        if self.own and self.span.is_recording():
            self.span.end()
        elif is_late:
            self.attributes[spans.ENDED] = _now()
            self.late("body", lambda: [self.encoded()], self.size() if self.written else 0)

    def lose(self, where: str, error: Exception) -> None:
        """Give up after a fault of ours, which is reported: what is known is kept, and no replay answers from it.

        Args:
            where: a stable name of the place, such as ``pymongo.send``.
            error: what was raised there.
        """
        self.attributes[spans.LOST] = True
        try:
            if not self.over:
                self.end()
        except Exception as worse:  # noqa: BLE001 - recording never breaks the app
            error = worse
        faults.report(where, error)


ending: ContextVar[Callable[[Call], None] | None] = ContextVar("timetracer_ending", default=None)
"""Is shown each call that ends in this context, with all its payloads."""
CARRIED: Final = "_timetracer_call"
"""Where a span has its call, for who started it."""
pending: ContextVar[Call | None] = ContextVar("timetracer_pending", default=None)
"""The call whose span was last started in this context. A seam below the driver finds its span here."""

Named: TypeAlias = Callable[[], tuple[str, Mapping[str, spans.Attribute]]]
"""Gives the name and the semantic-convention attributes of a span, when one must be started."""


switched_off: set[str] = set()
"""Integrations that are left alone although their patches may be in force for another one's sake."""


class Starter(Protocol):
    """Starts the span of a call, and gives the call; None when calls are not recorded."""

    def __call__(self, name: str, attributes: Mapping[str, spans.Attribute], kind: SpanKind) -> Call | None:
        """See :meth:`timetracer_otel.seams.runtime.Runtime.begin`."""
        ...


class _Starting:
    """Starts the spans that no instrumentor made, and knows the instrumentors' scopes; the runtime sets both."""

    __slots__ = ("scopes", "starter")

    def __init__(self) -> None:
        self.starter: Starter | None = None
        self.scopes: dict[str, frozenset[str]] = {}


starting: Final = _Starting()


def begin(plugin: str, named: Named, kind: SpanKind = SpanKind.CLIENT) -> Call | None:
    """Begin to record a call; None when nothing is recorded here. A fault of ours is reported, not raised.

    Args:
        plugin: the integration's name.
        named: names the span where the library's instrumentor made none.
        kind: CLIENT or PRODUCER.
    """
    if is_brokering():
        return None
    try:
        call = instrumented(plugin, kind)
        if call is None:
            return start(plugin, named, kind)
        call.taken = True
        call.attributes[spans.PLUGIN] = plugin
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report(f"{plugin}.begin", error)
        return None
    else:
        return call


def start(plugin: str, named: Named, kind: SpanKind = SpanKind.CLIENT) -> Call | None:
    """As :func:`begin`, on a span of ours whatever the instrumentor has.

    Args:
        plugin: the integration's name.
        named: names the span.
        kind: CLIENT or PRODUCER.
    """
    if is_brokering():
        return None
    try:
        starter = starting.starter
        call = None if starter is None or plugin in switched_off else starter(*named(), kind)
        if call is not None:
            call.taken = call.own = True
            call.attributes[spans.PLUGIN] = plugin
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report(f"{plugin}.begin", error)
        return None
    else:
        return call


def instrumented(plugin: str, kind: SpanKind = SpanKind.CLIENT) -> Call | None:
    """Give the call whose span the library's instrumentor started last in this context, if no seam has taken it.

    Args:
        plugin: the integration's name.
        kind: CLIENT or PRODUCER.
    """
    call = pending.get()
    if call is None or call.taken or plugin in switched_off or not call.span.is_recording():
        return None
    scope = call.span.instrumentation_scope
    if scope is None or scope.name not in starting.scopes.get(plugin, ()):
        return None
    return call if call.span.kind is kind else None
