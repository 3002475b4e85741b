"""The channels of aiormq: what the app asks and publishes, recorded, and answered in a replay."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.amqp import asking
from timetracer_otel.families.amqp.aio_pika_state import (
    AWAITED,
    NAME,
    OFFICE,
    link_of,
    message_of,
    properties_of,
    state_of,
)
from timetracer_otel.families.amqp.asking import DEFAULTS, RECORDED, SETTLES, Asked
from timetracer_otel.families.amqp.broker import PUBLISHED
from timetracer_otel.families.amqp.messages import published
from timetracer_otel.families.messaging import publishing
from timetracer_otel.seams import Call, faults

__all__ = ["asks", "calling", "channel_closes", "failed", "gets", "publishes", "settles"]


# Methods that are answered.


def asks(original: Any) -> Any:
    """Around ``Channel.rpc(frame, timeout)``."""

    async def rpc(self: Any, frame: Any, timeout: Any = None) -> Any:  # noqa: ASYNC109 - aiormq's
        asked = None if seams.is_off(NAME) else faults.guarded(f"{NAME}.ask", asking.asked, frame.name, list(frame))
        if asked is None or asked.method not in _BY_RPC:
            return await original(self, frame, timeout=timeout)
        with calling(self, asked) as told:
            result = await original(self, frame, timeout=timeout)
            if result is not None:
                told(lambda: asking.replied(result.name, list(result)))
        return result

    return rpc


_BY_RPC: Final = RECORDED - {"basic.get", "basic.consume", "basic.ack", "basic.nack", "basic.reject"}


@contextmanager
def calling(channel: Any, asked: Asked) -> Iterator[Callable[..., None]]:
    """Record a method while it is asked, or answer it from the cassette."""
    responder = seams.responder(NAME)
    if responder is not None:
        found, link = asking.answer(responder, asked), link_of(channel)
        if link is not None and asked.method not in SETTLES:
            link.broker.expect(channel.number, asked.method, asking.reply_of(found))
            OFFICE.listen(responder, found)
        yield lambda *_: None
        return
    call = faults.guarded(f"{NAME}.ask", asking.begin, NAME, asked)
    replies: list[dict[str, Any]] = []
    try:
        yield functools.partial(_take, replies)
    except BaseException as error:
        faults.guarded(f"{NAME}.failed", failed, call, error)
        raise
    if call is not None:
        faults.guarded(f"{NAME}.told", asking.told, call, replies[0] if replies else None)


def _take(replies: list[dict[str, Any]], reply: Callable[[], dict[str, Any]]) -> None:
    told = faults.guarded(f"{NAME}.reply", reply)
    if told is not None:
        replies.append(told)


def failed(call: Call | None, error: BaseException) -> None:
    """End a call with what the broker said, or what the driver raised by itself.

    Args:
        call: None when nothing is recorded.
        error: that the app gets.
    """
    if call is None:
        return
    reply = _reply_of(error)
    if reply is None:
        call.fail(error)
    asking.told(call, reply)


def _reply_of(error: BaseException) -> dict[str, Any] | None:
    """What the broker said, of which an exception was made; None of one that the driver has made by itself."""
    text = error.args[-1] if error.args else ""
    for code, kind in _channel_module().EXCEPTION_MAPPING.items():
        if type(error) is kind:
            return asking.closed(code, text)
    frame = getattr(error, "frame", None)
    if getattr(frame, "name", "") == "Basic.Return":
        return {"method": "basic.ack", "returned": _returned(frame)}
    return {"method": "basic.nack"} if getattr(frame, "name", "") == "Basic.Nack" else None


@functools.cache
def _channel_module() -> Any:
    import aiormq.channel  # noqa: PLC0415 - the library that is patched

    return aiormq.channel


def _returned(frame: Any) -> dict[str, Any]:
    return {"reply_code": frame.reply_code, "reply_text": frame.reply_text}


def gets(original: Any) -> Any:
    """Around ``Channel.basic_get(queue, no_ack, timeout)``."""

    async def basic_get(self: Any, queue: str = "", no_ack: bool = False, timeout: Any = None) -> Any:  # noqa: ASYNC109, FBT001, FBT002 - aiormq's
        if seams.is_off(NAME):
            return await original(self, queue, no_ack, timeout)
        asked = Asked("basic.get", {"queue": queue, "no_ack": bool(no_ack)})
        responder = seams.responder(NAME)
        if responder is not None:
            with calling(self, asked):
                return await original(self, queue, no_ack, timeout)
        call = faults.guarded(f"{NAME}.get", asking.begin, NAME, asked)
        try:
            came = await original(self, queue, no_ack, timeout)
        except BaseException as error:
            faults.guarded(f"{NAME}.failed", failed, call, error)
            raise
        if call is not None:
            faults.guarded(f"{NAME}.got", _keep, call, came)
        return came

    return basic_get


def _keep(call: Call, came: Any) -> None:
    if came.delivery.name == "Basic.GetOk":
        message_of(came).kept(call, "")
    counts = [("message_count", getattr(came.delivery, "message_count", None))]
    asking.told(call, asking.replied(came.delivery.name, counts))


# Publishing.


def publishes(original: Any) -> Any:
    """Around ``Channel.basic_publish(body, *, exchange, routing_key, properties, …)``."""

    async def basic_publish(self: Any, body: Any, *args: Any, **kwargs: Any) -> Any:
        if seams.is_off(NAME) or args:
            return await original(self, body, *args, **kwargs)
        told = properties_of(kwargs.get("properties"))
        exchange, routing_key = str(kwargs.get("exchange") or ""), str(kwargs.get("routing_key") or "")
        message = published(exchange, routing_key, bytes(body), told)
        responder, link = seams.responder(NAME), link_of(self)
        correlation_id = str(told.get("correlation_id") or "")
        if responder is not None and link is not None:
            found = asking.answer(responder, message)
            link.broker.expect(self.number, PUBLISHED, asking.reply_of(found))
            OFFICE.listen(responder, found, correlation_id)
            return await original(self, body, **kwargs)
        call = publishing.begin(NAME, message)
        if call is not None:
            AWAITED.add(str(told.get("reply_to") or ""), correlation_id, call)
        try:
            result = await original(self, body, **kwargs)
        except BaseException as error:
            faults.guarded(f"{NAME}.failed", failed, call, error)
            raise
        if call is not None:
            faults.guarded(f"{NAME}.published", asking.told, call, _confirmation(result))
        return result

    return basic_publish


def _confirmation(result: Any) -> dict[str, Any] | None:
    if result is None:
        return None
    if (frame := getattr(result, "delivery", None)) is not None:
        return {"method": "basic.ack", "returned": _returned(frame)}
    return asking.replied(result.name, ())


# Settling.


def settles(what: str) -> Callable[[Any], Any]:
    """Make what goes around ``Channel.basic_ack``, ``basic_nack`` and ``basic_reject``."""

    def maker(original: Any) -> Any:
        @functools.wraps(original)
        async def settle(self: Any, delivery_tag: int, *args: Any, **kwargs: Any) -> Any:
            if seams.is_off(NAME):
                return await original(self, delivery_tag, *args, **kwargs)
            told = {**DEFAULTS[what], **dict(zip(DEFAULTS[what], args, strict=False)), **kwargs}
            told.pop("wait", None)
            multiple = bool(told.get("multiple"))
            if state_of(self).deliveries.knows(delivery_tag, multiple=multiple):
                result = await original(self, delivery_tag, *args, **kwargs)
                told.pop("multiple", None)
                settle = functools.partial(state_of(self).deliveries.settle, multiple=multiple, **told)
                faults.guarded(f"{NAME}.settle", settle, delivery_tag, what)
                return result
            with calling(self, Asked(f"basic.{what}", told)):
                return await original(self, delivery_tag, *args, **kwargs)

        return settle

    return maker


def channel_closes(original: Any) -> Any:
    """Around ``Channel._on_close``."""

    async def on_close(self: Any, *args: Any, **kwargs: Any) -> Any:
        faults.guarded(f"{NAME}.close", state_of(self).deliveries.close)
        return await original(self, *args, **kwargs)

    return on_close
