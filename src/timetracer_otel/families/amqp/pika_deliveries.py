"""Messages that consumers of pika get: functions that are called, and a blocking channel's generator."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.amqp import deliveries
from timetracer_otel.families.amqp.deliveries import Handled
from timetracer_otel.families.amqp.pika_state import AWAITED, NAME, broker_of, message_of, state_of
from timetracer_otel.seams import faults

__all__ = ["arrives", "consumes", "decorated", "handles", "pending"]

_TAKEN: Final = "_timetracer_taken"
_pulls: ContextVar[Any] = ContextVar("timetracer_pika_pulls", default=None)
"""The channel whose generator is asked for the next message just now."""


def arrives(original: Any) -> Any:
    """Around ``Channel._on_deliver``, which calls the app's function, or keeps the message for a blocking channel."""

    def on_deliver(self: Any, method_frame: Any, header_frame: Any, body: Any) -> Any:
        if seams.is_off(NAME):
            return original(self, method_frame, header_frame, body)
        method = method_frame.method
        consumer = self._consumers.get(method.consumer_tag)
        if consumer is None or _is_blocking(consumer):
            state_of(self).deliveries.undispatched.add(method.delivery_tag)
            return original(self, method_frame, header_frame, body)
        with _handling(self, method, header_frame.properties, body):
            return original(self, method_frame, header_frame, body)

    return on_deliver


def _is_blocking(consumer: Any) -> bool:
    return getattr(consumer, "__name__", "") == "_on_consumer_message_delivery"


def _handling(channel: Any, method: Any, properties: Any, body: bytes) -> Any:
    return faults.guarded(f"{NAME}.deliver", _begun, channel, method, properties, body) or nullcontext()


def _begun(channel: Any, method: Any, properties: Any, body: bytes) -> Handled | None:
    known, tag = state_of(channel), method.delivery_tag
    known.deliveries.undispatched.discard(tag)
    queue, no_ack, consuming, number = known.consumers.get(method.consumer_tag, ("", False, None, None))
    broker = broker_of(channel)
    follows = "" if broker is None else broker.lane_of(channel.channel_number, tag)
    if seams.responder(NAME) is not None and not follows:
        return None
    came = message_of(method, properties, body)
    request = None if follows else AWAITED.request(queue, came)
    if request is not None:
        deliveries.passed(NAME, request, queue, came)
        return None
    handled = known.deliveries.begin(tag, queue, came, is_settled=no_ack, consumer=number, follows=follows)
    if handled is not None and broker is not None:
        handled.give_up = functools.partial(broker.give_up, channel.channel_number, tag)
    if handled is None and consuming is not None:
        deliveries.passed(NAME, consuming, queue, came)
    return handled


def handles(original: Any) -> Any:
    """Around ``_ConsumerInfo.__init__`` of blocking channels, which gets the app's function."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if self.on_message_callback is not None and not seams.is_off(NAME):
            self.on_message_callback = _handler(self.on_message_callback)

    return init


def _handler(callback: Any) -> Any:
    @functools.wraps(callback)
    def handle(channel: Any, method: Any, properties: Any, body: Any) -> Any:
        own = channel._impl if hasattr(channel, "_impl") else channel  # noqa: SLF001 - where pika has it
        if seams.is_off(NAME) or method.delivery_tag not in state_of(own).deliveries.undispatched:
            return callback(channel, method, properties, body)
        with _handling(own, method, properties, body):
            return callback(channel, method, properties, body)

    return handle


def decorated(original: Any) -> Any:
    """Around what the instrumentor puts around the app's function: its span belongs to the message's lane."""

    def decorate(callback: Any, *args: Any, **kwargs: Any) -> Any:
        return _handler(original(callback, *args, **kwargs))

    return decorate


class _Pending(deque[Any]):
    """The messages that a blocking channel's generator has; one that it takes for the app begins a lane."""

    def popleft(self) -> Any:
        event = super().popleft()
        channel = _pulls.get()
        method = getattr(event, "method", None)
        if channel is not None and hasattr(event, "body"):
            own = channel._impl  # noqa: SLF001 - where pika has it
            handled = faults.guarded(f"{NAME}.pull", _begun, own, method, event.properties, event.body)
            if handled is not None:
                channel.__dict__[_TAKEN] = handled
                handled.take()
        return event


def pending(original: Any) -> Any:
    """Around ``_QueueConsumerGeneratorInfo.__init__``, below what the instrumentor puts there."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        events = self.pending_events
        if hasattr(events, "__wrapped__"):
            events.__wrapped__ = _Pending(events.__wrapped__)
        else:
            self.pending_events = _Pending(events)

    return init


def consumes(original: Any) -> Any:
    """Around ``BlockingChannel.consume``, a generator."""

    def consume(self: Any, *args: Any, **kwargs: Any) -> Any:
        events = original(self, *args, **kwargs)
        return events if seams.is_off(NAME) else _each(self, events)

    return consume


def _each(channel: Any, events: Iterator[Any]) -> Iterator[Any]:
    try:
        while True:
            token = _pulls.set(channel)
            try:
                event = next(events)
            except StopIteration:
                return
            finally:
                _pulls.reset(token)
            yield event
            _leave(channel)
    finally:
        _leave(channel)
        events.close()  # type: ignore[attr-defined] # it is a generator


def _leave(channel: Any) -> None:
    handled = channel.__dict__.pop(_TAKEN, None)
    if handled is not None:
        faults.guarded(f"{NAME}.leave", handled.leave)
