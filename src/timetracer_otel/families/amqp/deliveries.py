"""Messages that a consumer gets, as lanes: each from when the app gets it until it is handled and settled.

An app may settle a message long after its callback has returned, from another thread or several at once. A message that
comes to another lane while that runs, such as the answer to a request, is no entry: it belongs to that lane.
"""

from __future__ import annotations

import atexit
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cache
from types import TracebackType
from typing import Any, Final, Self
from weakref import WeakSet

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace

from timetracer_otel import seams, spans
from timetracer_otel.errors import ReplayMiss
from timetracer_otel.families.amqp.messages import SYSTEM, Message
from timetracer_otel.families.entry.running import opened
from timetracer_otel.families.kinds.message import Delivery
from timetracer_otel.seams import Call, Lane, faults
from timetracer_otel.seams.brokering import is_brokering
from timetracer_otel.seams.lanes import Entered, process

__all__ = ["Awaited", "Deliveries", "Handled", "any_in_hand", "passed"]

_MOST_AWAITED: Final = 10_000
"""Requests whose answers are waited for; many are never answered."""


class Handled:
    """One message that is an entry, while the app handles it: a ``with`` block, or :meth:`take` and :meth:`leave`.

    Args:
        lane: opened for it.
        delivery: the message.
        is_settled: whether nothing is to be told of it.
    """

    def __init__(self, lane: Lane, delivery: Delivery, *, is_settled: bool) -> None:
        self._lane: Lane | None = lane
        self._delivery = delivery
        self._entered: Entered | None = None
        self._is_settled = is_settled
        self._in_hand = True
        self._span: trace.Span | None = None
        self.give_up: Callable[[], object] = lambda: None
        """Called in a replay that has missed a call: nothing more will be told of the message."""

    def __enter__(self) -> Self:
        if self._lane is not None:
            self._entered = self._lane.entered()
            self._entered.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, frames: TracebackType | None) -> bool:
        if self._entered is not None:
            self._entered.__exit__(kind, error, frames)
        self._leave(error)
        if not isinstance(error, ReplayMiss):
            return False
        self.give_up()
        return True  # a consumer would end with it, and handle no other message

    def take(self) -> None:
        """Let what the app does from here on belong to the message."""
        if self._lane is not None:
            self._lane.take_up()

    def trace(self, name: str, headers: Mapping[str, Any] | None) -> None:
        """Let what the app does be part of its sender's trace, where no instrumentor's span is around it.

        Args:
            name: of a span of ours.
            headers: of the message.
        """
        if seams.responder(self._delivery.plugin) is None:
            sender = propagate.extract({key: value for key, value in (headers or {}).items() if isinstance(value, str)})
            tracer = trace.get_tracer(spans.TRACER_NAME)
            self._span = tracer.start_span(name, sender, kind=self._delivery.span_kind)
            otel_context.attach(trace.set_span_in_context(self._span))

    def leave(self, error: BaseException | None = None) -> None:
        """Take that the app has come back for the next one.

        Args:
            error: that ended its loop.
        """
        if self._lane is not None and self._in_hand:
            self._lane.lay_down()
        if self._span is not None:
            self._span.end()
            otel_context.attach(trace.set_span_in_context(trace.INVALID_SPAN))
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        self._in_hand = False
        if self._is_settled or error is not None:
            self.end(error)

    def settle(self, what: str, **more: Any) -> None:
        """Take what the app tells the broker of it.

        Args:
            what: ``ack``, ``nack``, ``reject``.
            more: whether it comes again.
        """
        self._delivery.settle(what, 0, **more)
        self._is_settled = True
        if not self._in_hand:
            self.end(None)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._lane is None

    @property
    def in_hand(self) -> bool:
        """Whether the app has not come back from it."""
        return self._in_hand

    def end(self, error: BaseException | None) -> None:
        """End it, once.

        Args:
            error: that left the app.
        """
        lane, self._lane = self._lane, None
        if _is_interrupted(error):  # by hand: it was not handled, and comes again
            return
        if lane is None or lane.pid != process.id or lane.life is not process.life:  # else it is the parent's to end
            return
        try:
            self._delivery.is_over = True
            lane.end_code()
            lane.finish(error)
        except ReplayMiss:
            raise
        except Exception as fault:  # noqa: BLE001 - recording never breaks the app
            faults.report(f"{self._delivery.plugin}.over", fault)


def _is_interrupted(error: BaseException | None) -> bool:
    """Whether the program ends because somebody has pressed Ctrl-C."""
    seen = error or sys.exc_info()[1] or getattr(sys, "last_value", None)
    return isinstance(seen, KeyboardInterrupt)


class Deliveries:
    """The messages of one channel that are handled or not settled.

    Args:
        plugin: the integration's name.
    """

    def __init__(self, plugin: str) -> None:
        self._plugin = plugin
        self._open: dict[int, Handled] = {}
        self.undispatched: set[int] = set()
        """Delivery tags that the driver has and the app has not: it tells the broker of them by itself."""
        _channels().add(self)

    def begin(  # noqa: PLR0913 - what is known of a delivery
        self,
        tag: int,
        queue: str,
        came: Message,
        *,
        is_settled: bool,
        consumer: int | None,
        follows: str = "",
    ) -> Handled | None:
        """Open a lane for a message; None inside another lane, and where nothing is recorded or replayed.

        Args:
            tag: of the delivery.
            queue: that it came by.
            came: the message.
            is_settled: whether nothing is to be told of it.
            consumer: which of the queue's it came to.
            follows: in a replay, the recorded lane that it is.
        """
        delivery = Delivery(queue, [came.record(queue)], self._plugin, follows=follows, consumer=consumer)
        lane = None if is_brokering() else opened(delivery)  # a library's own message, which runs a task for it
        if lane is None:
            return None
        handled = Handled(lane, delivery, is_settled=is_settled)
        if is_settled:
            self._open = {number: one for number, one in self._open.items() if not one.is_over}
        self._open[tag] = handled
        return handled

    def knows(self, tag: int, *, multiple: bool = False) -> bool:
        """Whether any of the deliveries that something is told of is an entry, or known to the driver alone.

        Args:
            tag: of the delivery.
            multiple: whether of all up to it.
        """
        return bool(self._meant(tag, multiple)) or tag in self.undispatched

    def _meant(self, tag: int, multiple: bool) -> list[int]:  # noqa: FBT001 - as the protocol has it
        return [one for one in self._open if one == tag or (multiple and (one <= tag or not tag))]

    def settle(self, tag: int, what: str, *, multiple: bool = False, **more: Any) -> None:
        """Take what is told of deliveries.

        Args:
            tag: of the delivery.
            what: ``ack``, ``nack``, ``reject``.
            multiple: whether of all up to it.
            more: whether they come again.
        """
        for one in self._meant(tag, multiple):
            self._open.pop(one).settle(what, **more)

    def close(self) -> None:
        """End what is not in the app's hands: nothing more will be told of it."""
        for tag, handled in list(self._open.items()):
            if not handled.in_hand:
                self._open.pop(tag, None)
                handled.end(None)

    @property
    def in_hand(self) -> bool:
        """Whether the app is at work on any."""
        return any(handled.in_hand and not handled.is_over for handled in list(self._open.values()))


@cache
def _channels() -> WeakSet[Deliveries]:
    found: WeakSet[Deliveries] = WeakSet()

    def end_all() -> None:
        for one in list(found):
            one.close()

    atexit.register(end_all)
    return found


def any_in_hand() -> bool:
    """Whether the app is at work on any message."""
    return any(one.in_hand for one in list(_channels()))


class Awaited:
    """Requests that were sent with a place to answer to, by the id that their answers come with."""

    def __init__(self) -> None:
        self._calls: OrderedDict[tuple[str, str], Call] = OrderedDict()

    def add(self, reply_to: str, correlation_id: str, call: Call) -> None:
        """Take that a request was sent.

        Args:
            reply_to: the queue that answers go to.
            correlation_id: that they come with.
            call: the request.
        """
        if reply_to and correlation_id:
            self._calls[reply_to, correlation_id] = call
            while len(self._calls) > _MOST_AWAITED:
                self._calls.popitem(last=False)

    def request(self, queue: str, answer: Message, *, is_last: bool = True) -> Call | None:
        """Give the request that a message answers; None when it answers none.

        Args:
            queue: that it came by.
            answer: the message.
            is_last: whether no other answer is to come.
        """
        taken = self._calls.pop if is_last else self._calls.get
        return taken((queue, answer.correlation_id), None) if self._calls else None


def passed(plugin: str, opener: Call, queue: str, came: Message) -> None:
    """Record a message that came to a lane behind one of its calls. A fault of ours is reported, not raised.

    Args:
        plugin: the integration's name.
        opener: the request that it answers, or what began to consume.
        queue: that it came by.
        came: the message.
    """
    lane = opener.lane
    if not isinstance(lane, Lane):
        return
    name: Callable[[], tuple[str, dict[str, spans.Attribute]]] = lambda: (  # noqa: E731 - as seams.start takes it
        f"deliver {queue}",
        {"messaging.system": SYSTEM, "messaging.operation.type": "receive", "messaging.destination.name": queue},
    )
    with lane.entered():
        call = seams.start(plugin, name)
    if call is None:
        return
    try:
        call.follow(opener.span_id)
        came.kept(call, queue)
        call.end()
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        call.lose(f"{plugin}.deliver", error)
