"""The channels of pika: what the app asks and publishes, recorded, and answered in a replay."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.amqp import asking
from timetracer_otel.families.amqp.asking import DEFAULTS, RECORDED, SETTLES, Asked
from timetracer_otel.families.amqp.broker import PUBLISHED
from timetracer_otel.families.amqp.messages import Message, published
from timetracer_otel.families.amqp.pika_state import (
    AWAITED,
    NAME,
    NUMBERS,
    OFFICE,
    Unconfirmed,
    broker_of,
    message_of,
    properties_of,
    state_of,
)
from timetracer_otel.families.messaging import publishing
from timetracer_otel.families.messaging.publishing import Published
from timetracer_otel.seams import Call, faults

__all__ = [
    "asks",
    "closed_by_broker",
    "closes",
    "confirms",
    "gets",
    "got",
    "got_none",
    "publishes",
    "returns",
    "settles",
]


# Methods that are answered.


def asks(original: Any) -> Any:
    """Around ``Channel._rpc``: what it cannot send at once passes here a second time."""

    def rpc(self: Any, method: Any, callback: Any = None, acceptable_replies: Any = None) -> Any:
        if seams.is_off(NAME) or not self.is_open or id(method) in state_of(self).queued:
            if not seams.is_off(NAME):
                state_of(self).queued.discard(id(method))
            return original(self, method, callback, acceptable_replies)
        asked = faults.guarded(f"{NAME}.asked", asking.asked, method.NAME, vars(method).items())
        if asked is None or asked.method not in RECORDED:
            return original(self, method, callback, acceptable_replies)
        if self._blocking:
            state_of(self).queued.add(id(method))
        call = _begin(self, asked)
        if asked.method == "basic.consume":
            arguments = asked.arguments
            place, tag = str(arguments.get("queue") or ""), method.consumer_tag
            number = NUMBERS.take(place, _living(self, tag))
            state_of(self).consumers[tag] = (place, bool(arguments.get("no_ack")), call, number)
        if call is not None and callback is not None:
            callback = _answering(self, call, callback)
        try:
            result = original(self, method, callback, acceptable_replies)
        except BaseException as error:
            _failed(self, call, error)
            raise
        if call is not None and not acceptable_replies:
            _told(self, call, None)
        return result

    return rpc


def _living(channel: Any, tag: str) -> Callable[[], bool]:
    """Give what says whether a consumer still is one."""
    reference = weakref.ref(channel)

    def is_live() -> bool:
        found = reference()
        return found is not None and not found.is_closed and tag in found._consumers  # noqa: SLF001 - where pika has it

    return is_live


def _begin(channel: Any, asked: Asked) -> Call | None:
    """Record a method, or answer it from the cassette."""
    responder = seams.responder(NAME)
    if responder is not None:
        found = asking.answer(responder, asked)
        broker = broker_of(channel)
        if broker is not None and asked.method not in SETTLES:
            broker.expect(channel.channel_number, asked.method, asking.reply_of(found))
            OFFICE.listen(responder, found)
        return None
    call = faults.guarded(f"{NAME}.ask", asking.begin, NAME, asked)
    if call is not None:
        state_of(channel).waiting[id(call)] = call
    return call if isinstance(call, Call) else None


def _answering(channel: Any, call: Call, callback: Any) -> Any:
    @functools.wraps(callback)
    def answered(*args: Any) -> Any:
        method = getattr(args[0], "method", None) if args else None
        if method is not None:
            faults.guarded(
                f"{NAME}.answer", lambda: _told(channel, call, asking.replied(method.NAME, vars(method).items()))
            )
        return callback(*args)

    return answered


def _told(channel: Any, call: Call, reply: dict[str, Any] | None) -> None:
    if state_of(channel).waiting.pop(id(call), None) is not None:
        asking.told(call, reply)


def _failed(channel: Any, call: Call | None, error: BaseException) -> None:
    if call is not None and state_of(channel).waiting.pop(id(call), None) is not None:
        call.fail(error)
        call.end()


def gets(original: Any) -> Any:
    """Around ``Channel.basic_get(queue, callback, auto_ack)``."""

    def basic_get(self: Any, queue: Any, callback: Any, auto_ack: bool = False) -> Any:  # noqa: FBT001, FBT002 - pika's
        if seams.is_off(NAME) or not self.is_open:
            return original(self, queue, callback, auto_ack)
        call = _begin(self, Asked("basic.get", {"queue": queue, "no_ack": bool(auto_ack)}))
        state_of(self).got = call
        try:
            return original(self, queue, callback, auto_ack)
        except BaseException as error:
            _failed(self, call, error)
            raise

    return basic_get


def got(original: Any) -> Any:
    """Around ``Channel._on_getok(method_frame, header_frame, body)``."""

    def on_getok(self: Any, method_frame: Any, header_frame: Any, body: Any) -> Any:
        method = method_frame.method
        faults.guarded(f"{NAME}.got", _got_one, self, method, lambda: message_of(method, header_frame.properties, body))
        return original(self, method_frame, header_frame, body)

    return on_getok


def got_none(original: Any) -> Any:
    """Around ``Channel._on_getempty(method_frame)``."""

    def on_getempty(self: Any, method_frame: Any) -> Any:
        faults.guarded(f"{NAME}.got", _got_one, self, method_frame.method, lambda: None)
        return original(self, method_frame)

    return on_getempty


def _got_one(channel: Any, method: Any, came: Callable[[], Message | None]) -> None:
    known = state_of(channel)
    call, known.got = known.got, None
    if call is not None:
        message = came()
        if message is not None:
            message.kept(call, "")
        counts = [("message_count", getattr(method, "message_count", None))]
        _told(channel, call, asking.replied(method.NAME, counts))


def closed_by_broker(original: Any) -> Any:
    """Around ``Channel._on_close_from_broker(method_frame)``: whatever waits for an answer has got this one."""

    def on_close(self: Any, method_frame: Any) -> Any:
        reply = asking.closed(method_frame.method.reply_code, method_frame.method.reply_text)
        faults.guarded(f"{NAME}.closed", _end_waiting, self, reply)
        return original(self, method_frame)

    return on_close


def _end_waiting(channel: Any, reply: dict[str, Any]) -> None:
    known = state_of(channel)
    for call in list(known.waiting.values()):
        _told(channel, call, reply)
    for one in known.unconfirmed.values():
        asking.told(one.call, reply)
    known.unconfirmed.clear()


def closes(original: Any) -> Any:
    """Around ``Channel._transition_to_closed()``."""

    def transition(self: Any) -> Any:
        faults.guarded(f"{NAME}.close", state_of(self).deliveries.close)
        return original(self)

    return transition


# Publishing.


def publishes(original: Any) -> Any:
    """Around ``Channel.basic_publish``."""

    def basic_publish(  # noqa: PLR0913, PLR0917 - as pika has it
        self: Any,
        exchange: Any,
        routing_key: Any,
        body: Any,
        properties: Any = None,
        mandatory: bool = False,  # noqa: FBT001, FBT002 - as above
    ) -> Any:
        if seams.is_off(NAME) or not self.is_open:
            return original(self, exchange, routing_key, body, properties, mandatory)
        told = faults.guarded(f"{NAME}.properties", properties_of, properties)
        message = faults.guarded(f"{NAME}.message", _leaving, exchange, routing_key, body, told)
        if told is None or message is None:
            return original(self, exchange, routing_key, body, properties, mandatory)
        responder, broker = seams.responder(NAME), broker_of(self)
        if responder is not None and broker is not None:
            found = asking.answer(responder, message)
            broker.expect(self.channel_number, PUBLISHED, asking.reply_of(found))
            OFFICE.listen(responder, found, str(told.get("correlation_id") or ""))
            return original(self, exchange, routing_key, body, properties, mandatory)
        call = publishing.begin(NAME, message)
        if call is not None:
            AWAITED.add(str(told.get("reply_to") or ""), str(told.get("correlation_id") or ""), call)
            faults.guarded(f"{NAME}.publish", _sent, self, call, exchange, routing_key)
        try:
            result = original(self, exchange, routing_key, body, properties, mandatory)
        except BaseException as error:
            state_of(self).unconfirmed.pop(state_of(self).published, None)
            publishing.end(NAME, call, error)
            raise
        if not state_of(self).confirms:
            publishing.end(NAME, call, None)
        return result

    return basic_publish


def _leaving(exchange: Any, routing_key: Any, body: Any, properties: Any) -> Published:
    raw = body.encode() if isinstance(body, str) else bytes(body)
    return published(str(exchange), str(routing_key), raw, properties)


def _sent(channel: Any, call: Call, exchange: str, routing_key: str) -> None:
    """Wait for what the broker says of a message, where it does."""
    known = state_of(channel)
    if known.confirms:
        known.published += 1
        call.under_way = _CONFIRMING
        known.unconfirmed[known.published] = Unconfirmed(call, exchange, routing_key)


class _Confirming:
    """Marks a call whose confirmation may come after its span has ended."""

    def catch_up(self) -> None:
        """There is nothing to look at."""

    def abandoned(self) -> None:
        """There is nothing more to see."""


_CONFIRMING: Final = _Confirming()


def confirms(original: Any) -> Any:
    """Around ``Channel.confirm_delivery(ack_nack_callback, callback)``."""

    def confirm_delivery(self: Any, ack_nack_callback: Any, callback: Any = None) -> Any:
        if seams.is_off(NAME) or not callable(ack_nack_callback):
            return original(self, ack_nack_callback, callback)
        state_of(self).confirms = True

        @functools.wraps(ack_nack_callback)
        def confirmed(frame: Any) -> Any:
            faults.guarded(f"{NAME}.confirm", _confirmed, self, frame.method)
            return ack_nack_callback(frame)

        return original(self, confirmed, callback)

    return confirm_delivery


def _confirmed(channel: Any, method: Any) -> None:
    waiting = state_of(channel).unconfirmed
    tag, multiple = method.delivery_tag, method.multiple
    for number in [one for one in waiting if one == tag or (multiple and (one <= tag or not tag))]:
        one = waiting.pop(number)
        returned = {} if one.returned is None else {"returned": one.returned}
        asking.told(one.call, {**asking.replied(method.NAME, ()), **returned})


def returns(original: Any) -> Any:
    """Around ``Channel._on_return(method_frame, header_frame, body)``: the confirmation comes behind it."""

    def on_return(self: Any, method_frame: Any, header_frame: Any, body: Any) -> Any:
        faults.guarded(f"{NAME}.return", _note_return, self, method_frame.method)
        return original(self, method_frame, header_frame, body)

    return on_return


def _note_return(channel: Any, method: Any) -> None:
    place = (method.exchange, method.routing_key)
    for one in state_of(channel).unconfirmed.values():
        if one.place == place and one.returned is None:
            one.returned = {"reply_code": method.reply_code, "reply_text": method.reply_text}
            return


# Settling.


def settles(what: str) -> Callable[[Any], Any]:
    """Make what goes around ``Channel.basic_ack``, ``basic_nack`` and ``basic_reject``."""

    def maker(original: Any) -> Any:
        @functools.wraps(original)
        def settle(self: Any, delivery_tag: int = 0, *args: Any, **kwargs: Any) -> Any:
            if seams.is_off(NAME) or not self.is_open:
                return original(self, delivery_tag, *args, **kwargs)
            told = dict(zip(_MORE[what], args, strict=False)) | kwargs
            is_entry = _note_settled(self, delivery_tag, what, told)
            call = None if is_entry else _begin(self, Asked(f"basic.{what}", {**DEFAULTS[what], **told}))
            try:
                result = original(self, delivery_tag, *args, **kwargs)
            except BaseException as error:
                _failed(self, call, error)
                raise
            if call is not None:
                _told(self, call, None)
            if is_entry:
                faults.guarded(f"{NAME}.settle", _settle, self, delivery_tag, what, told)
            return result

        return settle

    return maker


_MORE: Final = {"ack": ("multiple",), "nack": ("multiple", "requeue"), "reject": ("requeue",)}


def _note_settled(channel: Any, tag: int, what: str, told: dict[str, Any]) -> bool:
    known: bool = state_of(channel).deliveries.knows(tag, multiple=bool({**DEFAULTS[what], **told}.get("multiple")))
    return known


def _settle(channel: Any, tag: int, what: str, told: dict[str, Any]) -> None:
    more = {**DEFAULTS[what], **told}
    multiple = bool(more.pop("multiple", False))
    state_of(channel).deliveries.settle(tag, what, multiple=multiple, **more)
