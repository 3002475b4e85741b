"""Messages that consumers of kombu get, as entries: by a function that is called, or where the app asks for the next.

What Celery consumes for itself (tasks, events, remote control, results) is none of them.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.amqp.deliveries import Awaited, Deliveries, Handled, passed
from timetracer_otel.families.amqp.fields import packed
from timetracer_otel.families.amqp.messages import Message
from timetracer_otel.families.kinds.message import Delivery
from timetracer_otel.families.messaging.consuming import Consumption
from timetracer_otel.integrations._celery_broker import BROKER, NAME, is_messages
from timetracer_otel.seams import Patch, faults
from timetracer_otel.seams.brokering import AppsWork, is_brokering
from timetracer_otel.seams.lanes import entering, outside

__all__ = ["AWAITED", "PATCHES", "RESULTS"]

AWAITED: Final = Awaited()
_STATE: Final = "_timetracer"
_DELIVERY: Final = "_timetracer_delivery"
"""Where a message that the app has asked for has its entry."""
_CELERYS: Final = ("celery.", "kombu.pidbox")
RESULTS: Final = "celery.backends.rpc"
"""By which results come as messages, each an answer to the message that asked for the task."""
_MONITOR: Final = "celery.events.receiver"
"""By which an app takes Celery's events, as a monitor does; its workers have functions of their own for that."""
_KEEPERS: Final = ("kombu.simple", "kombu.common")
"""Whose functions only keep a message for who asks for it."""
_NOT_COUNTED: Final = frozenset({"application_headers", "body_encoding", "delivery_tag", "delivery_info"})
_OF_ONE: Final = frozenset({"consumer_tag", "delivery_tag"})


class _State:
    """What is known of one channel.

    Attributes:
        deliveries: that functions are at work on.
        kept: by delivery tag, the queue of messages that wait for who asks for them.
        asked: the message that the app has asked for last.
    """

    def __init__(self) -> None:
        self.deliveries = Deliveries(NAME)
        self.kept: dict[Any, str] = {}
        self.asked = Consumption()


def _state_of(channel: Any) -> _State:
    found: _State | None = channel.__dict__.get(_STATE)
    if found is None:
        found = channel.__dict__[_STATE] = _State()
    return found


# --- functions that are called ---


def _consumes(original: Any) -> Any:
    """Around ``Queue.consume(consumer_tag, callback, no_ack, nowait)``, which consumers go through."""

    def consume(
        self: Any, consumer_tag: str = "", callback: Any = None, no_ack: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        if callback is not None and not seams.is_off(NAME):
            is_settled = bool(self.no_ack if no_ack is None else no_ack)
            callback = faults.guarded("celery.consume", _Receiver, self, callback, is_settled) or callback
        return original(self, consumer_tag, callback, no_ack, *args, **kwargs)

    return consume


class _Receiver:
    """Stands for what a channel calls with each message of a queue.

    Args:
        queue: kombu's, bound to its channel.
        callback: a consumer's method, or the app's own function.
        is_settled: whether nothing is to be told of a message.
    """

    def __init__(self, queue: Any, callback: Any, is_settled: bool) -> None:  # noqa: FBT001 - one place makes it
        self._queue = queue.name
        self._channel = queue.channel
        self._callback = callback
        self._is_settled = is_settled
        functools.update_wrapper(self, callback, updated=())
        if seams.responder(NAME) is not None and not _is_celerys(callback):
            BROKER.consume(self._channel, self._queue, is_for_answers=self._is_for_results)

    @property
    def _is_for_results(self) -> bool:
        return _module(self._callback) == RESULTS

    def __call__(self, raw: Any) -> Any:
        if seams.is_off(NAME) or _is_celerys(self._callback):
            return self._callback(raw)
        with self._apart(), faults.guarded("celery.deliver", self._begun, raw) or nullcontext():
            return self._callback(raw)

    def _apart(self) -> AbstractContextManager[Any]:
        """A driver that waits for the broker hands out messages meanwhile, inside of the handling of another one."""
        if not (is_brokering() or is_messages(entering())):
            return nullcontext()
        apart = ExitStack()
        apart.enter_context(AppsWork())
        apart.enter_context(outside())
        return apart

    def _begun(self, raw: Any) -> Handled | None:
        state, tag, came = _state_of(self._channel), raw.delivery_tag, _message(raw)
        is_result = self._is_for_results  # whose task may have told of its progress before
        if _answers(self._queue, came, is_last=not is_result) or is_result:
            return None
        if _module(self._callback).startswith(_KEEPERS):
            state.kept[tag] = self._queue
            return None
        follows = BROKER.lane_of(tag)
        if seams.responder(NAME) is not None and not follows:
            return None
        handled = state.deliveries.begin(
            tag, self._queue, came, is_settled=self._is_settled, consumer=None, follows=follows
        )
        if handled is not None and follows and not self._is_settled:
            handled.give_up = functools.partial(self._channel.basic_ack, tag)
        return handled


def _is_celerys(callback: Any) -> bool:
    module = _module(callback)
    return module.startswith(_CELERYS) and module not in {_MONITOR, RESULTS}


def _module(callback: Any) -> str:
    """Where the function is from that gets a message in the end; empty where nothing says it."""
    consumer = getattr(callback, "__self__", None)
    if consumer is not None and getattr(callback, "__name__", "") == "_receive_callback":
        functions = [consumer.on_message] if consumer.on_message else list(consumer.callbacks or ())
        callback = functions[0] if functions else None
    while isinstance(callback, functools.partial):
        callback = callback.func
    return str(getattr(callback, "__module__", None) or "")


def _message(raw: Any) -> Message:
    """A message as a transport gives it, before or after kombu has made one of its own of it."""
    told: Mapping[str, Any] = raw.properties or {}
    info: Mapping[str, Any] = raw.delivery_info or {}
    properties = {
        **{name: value for name, value in told.items() if name not in _NOT_COUNTED},
        "is_text": isinstance(raw.body, str) or None,
        "content_type": getattr(raw, "content_type", None) or told.get("content_type"),
        "content_encoding": getattr(raw, "content_encoding", None) or told.get("content_encoding"),
        "headers": getattr(raw, "headers", None) or told.get("application_headers") or {},
        "delivery_info": {name: value for name, value in info.items() if name not in _OF_ONE},
    }
    body = raw.body
    return Message(
        body.encode() if isinstance(body, str) else bytes(body or b""),
        str(info.get("exchange") or ""),
        str(info.get("routing_key") or ""),
        bool(info.get("redelivered")),
        {name: packed(value) for name, value in properties.items() if value is not None},
    )


def _answers(queue: str, came: Message, *, is_last: bool = True) -> bool:
    """Whether a message answers a request of a lane that is recorded: then it belongs to that."""
    request = AWAITED.request(queue, came, is_last=is_last)
    if request is not None:
        passed(NAME, request, queue, came)
    return request is not None


# --- messages that are asked for ---


def _asks(original: Any) -> Any:
    """Around ``SimpleBase.get(block, timeout)``."""

    def get(self: Any, *args: Any, **kwargs: Any) -> Any:
        if seams.is_off(NAME):
            return original(self, *args, **kwargs)
        _state_of(self.channel).asked.end()
        message = original(self, *args, **kwargs)
        faults.guarded("celery.get", _give, message)
        return message

    return get


def _polls(original: Any) -> Any:
    """Around ``Queue.get(no_ack, accept)``, which comes back at once."""

    def get(self: Any, no_ack: Any = None, *args: Any, **kwargs: Any) -> Any:
        caller = str(sys._getframe(1).f_globals.get("__name__"))  # noqa: SLF001 - results of Celery's come this way too
        if seams.is_off(NAME) or caller.startswith(_CELERYS):
            return original(self, no_ack, *args, **kwargs)
        state = _state_of(self.channel)
        state.asked.end()
        if seams.responder(NAME) is not None:
            BROKER.consume(self.channel, self.name)
        message = original(self, no_ack, *args, **kwargs)
        if message is not None and not (entering() is not None or _answers(self.name, _message(message))):
            state.kept[message.delivery_tag] = self.name
            faults.guarded("celery.get", _give, message)
        return message

    return get


def _drains(original: Any) -> Any:
    """Around ``kombu.common.drain_consumer(consumer, …)``, a generator of bodies and messages."""

    def drain_consumer(consumer: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        state = _state_of(consumer.channel)
        try:
            for body, message in original(consumer, *args, **kwargs):
                if not seams.is_off(NAME):
                    state.asked.end()
                    faults.guarded("celery.get", _give, message)
                yield body, message
                state.asked.end()
        finally:
            state.asked.end()

    return drain_consumer


def _closes(original: Any) -> Any:
    """Around ``SimpleBase.close()``."""

    def close(self: Any) -> Any:
        faults.guarded("celery.close", _state_of(self.channel).asked.end)
        return original(self)

    return close


def _give(message: Any) -> None:
    """Let what the app does from here on belong to a message that it has asked for."""
    state = _state_of(message.channel)
    queue = state.kept.pop(message.delivery_tag, "")
    follows = BROKER.lane_of(message.delivery_tag)
    if not queue or (seams.responder(NAME) is not None and not follows):
        return
    delivery = Delivery(queue, [_message(message).record(queue)], NAME, follows=follows)
    message.__dict__[_DELIVERY] = delivery
    state.asked.begin(delivery)


# --- what the app tells of them ---


def _settles(what: str, **always: Any) -> Callable[[Any], Any]:
    """Make what goes around ``Message.ack``, ``reject`` and ``requeue``."""

    def maker(original: Any) -> Any:
        def settle(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            if not seams.is_off(NAME):
                faults.guarded("celery.settle", _note, self, what, args, {**always, **kwargs})
            return result

        return settle

    return maker


def _note(message: Any, what: str, args: tuple[Any, ...], told: Mapping[str, Any]) -> None:
    first = {"ack": "multiple", "reject": "requeue"}[what]
    said = {**told, **dict(zip([first], args, strict=False))}
    more = {} if what == "ack" else {"requeue": bool(said.get("requeue"))}
    delivery: Delivery | None = message.__dict__.get(_DELIVERY)
    if delivery is not None:
        delivery.settle(what, 0, **more)
    elif _STATE in message.channel.__dict__:
        multiple = bool(said.get("multiple")) and isinstance(message.delivery_tag, int)
        _state_of(message.channel).deliveries.settle(message.delivery_tag, what, multiple=multiple, **more)


# --- the end of a replay ---


def _stoppable(original: Any) -> Any:
    """Around ``ConsumerMixin._consume_from(*consumers)``: such a program ends as it does when it is told to."""

    def consume_from(self: Any, *consumers: Any) -> Any:
        if seams.responder(NAME) is not None:
            for consumer in consumers:
                BROKER.stop_at_end(consumer.channel.connection, self)
        return original(self, *consumers)

    return consume_from


def _patches() -> Iterable[Patch]:
    yield Patch("kombu.entity", "Queue.consume", maker=_consumes)
    yield Patch("kombu.entity", "Queue.get", maker=_polls)
    yield Patch("kombu.simple", "SimpleBase.get", maker=_asks)
    yield Patch("kombu.simple", "SimpleBase.close", maker=_closes)
    yield Patch("kombu.common", "drain_consumer", maker=_drains)
    yield Patch("kombu.message", "Message.ack", maker=_settles("ack"))
    yield Patch("kombu.message", "Message.reject", maker=_settles("reject"))
    yield Patch("kombu.message", "Message.requeue", maker=_settles("reject", requeue=True))
    yield Patch("kombu.mixins", "ConsumerMixin._consume_from", maker=_stoppable)


PATCHES: Final = tuple(_patches())
