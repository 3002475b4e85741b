"""Messages that consumers of aio-pika get: functions that are called, and a queue's iterator."""

from __future__ import annotations

import asyncio
import functools
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.amqp import asking, deliveries
from timetracer_otel.families.amqp.aio_pika_channels import calling, failed
from timetracer_otel.families.amqp.aio_pika_state import AWAITED, NAME, NUMBERS, link_of, message_of, state_of
from timetracer_otel.families.amqp.asking import Asked
from timetracer_otel.families.amqp.deliveries import Handled
from timetracer_otel.families.amqp.fields import packed
from timetracer_otel.families.amqp.messages import Message
from timetracer_otel.seams import Call, faults

__all__ = ["closes", "consumes", "exits", "gives_next", "iterator_consumes", "robust_consumes"]

_TAKEN: Final = "_timetracer_taken"
_ASKED: Final = "_timetracer_asked"
"""Where an iterator that is asked for the next message says so."""
_iterates: ContextVar[Any] = ContextVar("timetracer_aio_pika_iterates", default=None)
"""The iterator that begins to consume just now."""


def consumes(original: Any) -> Any:
    """Around ``Channel.basic_consume(queue, consumer_callback, *, no_ack, …)``, below the instrumentor."""

    async def basic_consume(self: Any, queue: str, consumer_callback: Any, **kwargs: Any) -> Any:
        if seams.is_off(NAME):
            return await original(self, queue, consumer_callback, **kwargs)
        counted = {name: packed(kwargs[name]) for name in ("no_ack", "exclusive", "arguments") if kwargs.get(name)}
        consumer = _Consumer(self, queue, bool(kwargs.get("no_ack")), consumer_callback, _iterates.get() is not None)
        link = link_of(self)
        if link is not None:
            link.calls_back = link.calls_back or _iterates.get() is None
        responder = seams.responder(NAME)
        if responder is not None:
            with calling(self, Asked("basic.consume", {"queue": queue, **counted})):
                return await original(self, queue, consumer, **kwargs)
        call = consumer.call = faults.guarded(
            f"{NAME}.consume", asking.begin, NAME, Asked("basic.consume", {"queue": queue, **counted})
        )
        try:
            result = await original(self, queue, consumer, **kwargs)
        except BaseException as error:
            faults.guarded(f"{NAME}.failed", failed, call, error)
            raise
        if call is not None:
            faults.guarded(f"{NAME}.consumes", asking.told, call, asking.replied("Basic.ConsumeOk", ()))
        return result

    return basic_consume


class _Consumer:
    """Stands for the app's function, or an iterator's, and begins a lane for each message that the app gets."""

    def __init__(self, channel: Any, queue: str, no_ack: bool, callback: Any, iterates: bool) -> None:  # noqa: FBT001 - one place makes it
        self._channel = channel
        self._queue = queue
        self._no_ack = no_ack
        self._callback = callback
        self._iterates = iterates
        self.call: Call | None = None
        self._number = NUMBERS.take(queue, _living(channel, weakref.ref(self)))
        functools.update_wrapper(self, callback, updated=())

    async def __call__(self, came: Any) -> Any:
        if seams.is_off(NAME):
            return await _result(self._callback(came))
        begin = functools.partial(
            self._begun, came.delivery.delivery_tag, faults.guarded(f"{NAME}.arrive", message_of, came)
        )
        if self._iterates:
            state = state_of(self._channel)
            state.deliveries.undispatched.add(came.delivery.delivery_tag)
            state.pulled[came.delivery.delivery_tag] = begin
            return await _result(self._callback(came))
        with faults.guarded(f"{NAME}.deliver", begin) or nullcontext():
            return await _result(self._callback(came))

    def _begun(self, tag: int, came: Message | None) -> Handled | None:
        state, link = state_of(self._channel), link_of(self._channel)
        state.deliveries.undispatched.discard(tag)
        if came is None:
            return None
        follows = "" if link is None else link.broker.lane_of(self._channel.number, tag)
        if seams.responder(NAME) is not None and not follows:
            return None
        request = None if follows else AWAITED.request(self._queue, came)
        if request is not None:
            deliveries.passed(NAME, request, self._queue, came)
            return None
        handled = state.deliveries.begin(
            tag, self._queue, came, is_settled=self._no_ack, consumer=self._number, follows=follows
        )
        if handled is None and self.call is not None:
            deliveries.passed(NAME, self.call, self._queue, came)
        if handled is not None and link is not None:
            handled.give_up = functools.partial(link.broker.give_up, self._channel.number, tag)
        return handled


def _living(channel: Any, consumer: weakref.ref[_Consumer]) -> Callable[[], bool]:
    """Give what says whether a consumer still is one; it is before its channel knows it."""
    reference, was_known = weakref.ref(channel), False

    def is_live() -> bool:
        nonlocal was_known
        found, one = reference(), consumer()
        if found is None or one is None or found.is_closed:
            return False
        is_known = any(one in {known, getattr(known, "__wrapped__", None)} for known in found.consumers.values())
        was_known = was_known or is_known
        return is_known or not was_known

    return is_live


async def _result(given: Any) -> Any:
    return await given if asyncio.iscoroutine(given) or asyncio.isfuture(given) else given


def iterator_consumes(original: Any) -> Any:
    """Around ``QueueIterator.consume()``: its function only keeps the message."""

    async def consume(self: Any) -> Any:
        token = _iterates.set(self)
        try:
            return await original(self)
        finally:
            _iterates.reset(token)

    return consume


def robust_consumes(original: Any) -> Any:
    """Around ``RobustQueue.consume(callback, …)``, which a new connection asks for again by itself."""

    async def consume(self: Any, callback: Any, *args: Any, **kwargs: Any) -> Any:
        iterator = getattr(callback, "__self__", None)
        token = _iterates.set(iterator if hasattr(iterator, "_amqp_queue") else _iterates.get())
        try:
            return await original(self, callback, *args, **kwargs)
        finally:
            _iterates.reset(token)

    return consume


def gives_next(original: Any) -> Any:
    """Around ``QueueIterator.__anext__()``."""

    async def anext_(self: Any) -> Any:
        is_second = _ASKED in self.__dict__  # a robust iterator that has none of its own passes here twice
        if is_second or seams.is_off(NAME):
            return await original(self)
        _leave(self)
        self.__dict__[_ASKED] = True
        try:
            message = await (original(self) if seams.responder(NAME) is None else _next_replayed(self, original))
        finally:
            del self.__dict__[_ASKED]
        faults.guarded(f"{NAME}.pull", _pulled, self, message)
        return message

    return anext_


async def _next_replayed(iterator: Any, original: Any) -> Any:
    """Give the next message, and end the loop behind the last."""
    if not hasattr(iterator, "_consumer_tag"):
        await iterator.consume()
    channel = await _underlay(iterator)
    link = None if channel is None else link_of(channel)
    if link is None:
        return await original(iterator)
    asking_next, over = asyncio.ensure_future(original(iterator)), asyncio.ensure_future(link.over.wait())
    try:
        await asyncio.wait({asking_next, over}, return_when=asyncio.FIRST_COMPLETED)
        if asking_next.done():
            return asking_next.result()
    finally:
        over.cancel()
        if not asking_next.done():
            asking_next.cancel()
            await asyncio.gather(asking_next, return_exceptions=True)
    raise StopAsyncIteration


async def _underlay(iterator: Any) -> Any:
    channel = iterator._amqp_queue.channel  # noqa: SLF001 - where aio-pika has it
    if hasattr(channel, "get_underlay_channel"):
        return await channel.get_underlay_channel()
    return getattr(channel, "channel", channel)


def _pulled(iterator: Any, message: Any) -> None:
    begin = state_of(message.channel).pulled.pop(message.delivery_tag, None)
    handled = None if begin is None else begin()
    if handled is not None:
        iterator.__dict__[_TAKEN] = handled
        handled.take()
        handled.trace(f"{message.routing_key or ''} process".strip(), message.headers)


def _leave(iterator: Any, error: BaseException | None = None) -> None:
    handled = iterator.__dict__.pop(_TAKEN, None)
    if handled is not None:
        faults.guarded(f"{NAME}.leave", handled.leave, error)


def exits(original: Any) -> Any:
    """Around ``QueueIterator.__aexit__``."""

    async def aexit(self: Any, kind: Any, error: Any, frames: Any) -> Any:
        _leave(self, error)
        return await original(self, kind, error, frames)

    return aexit


def closes(original: Any) -> Any:
    """Around ``QueueIterator.close()``."""

    async def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        _leave(self)
        return await original(self, *args, **kwargs)

    return close
