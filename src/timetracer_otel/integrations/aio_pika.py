"""RabbitMQ by aio-pika: each message that a consumer gets is an entry, what the app asks and publishes are calls.

The seam is aiormq's channel, which aio-pika's queues and exchanges stand on; an iterator's message begins where the app
gets it. In a replay the driver runs on streams that reach nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.amqp import aio_pika_channels, aio_pika_deliveries, asking
from timetracer_otel.families.amqp.aio_pika_state import LINK, NAME, Link
from timetracer_otel.families.nowhere.transports import streams
from timetracer_otel.seams import Instrumentor, Integration, Patch

__all__ = ["INTEGRATION"]

_connects: ContextVar[Any] = ContextVar("timetracer_aio_pika_connects", default=None)
"""The connection that is being made just now."""


def _connected(original: Any) -> Any:
    """Around ``Connection.connect(client_properties)``."""

    async def connect(self: Any, *args: Any, **kwargs: Any) -> Any:
        if seams.responder(NAME) is None:
            return await original(self, *args, **kwargs)
        token = _connects.set(self)
        try:
            return await original(self, *args, **kwargs)
        finally:
            _connects.reset(token)

    return connect


def _opened(original: Any) -> Any:
    """Around ``asyncio.open_connection``, which only a connection of aiormq does not reach in a replay."""

    async def open_connection(*args: Any, **kwargs: Any) -> Any:
        connection = _connects.get()
        if connection is None or seams.responder(NAME) is None:
            return await original(*args, **kwargs)
        link = connection.__dict__[LINK] = Link()
        return streams(link.broker, extra={"peername": ("127.0.0.1", 0)})

    return open_connection


_OF_CHANNELS: Final = {
    "rpc": aio_pika_channels.asks,
    "basic_get": aio_pika_channels.gets,
    "basic_publish": aio_pika_channels.publishes,
    "basic_ack": aio_pika_channels.settles("ack"),
    "basic_nack": aio_pika_channels.settles("nack"),
    "basic_reject": aio_pika_channels.settles("reject"),
    "_on_close": aio_pika_channels.channel_closes,
    "basic_consume": aio_pika_deliveries.consumes,
}
_OF_ITERATORS: Final = {
    "consume": aio_pika_deliveries.iterator_consumes,
    "__anext__": aio_pika_deliveries.gives_next,
    "__aexit__": aio_pika_deliveries.exits,
    "close": aio_pika_deliveries.closes,
}
_ROBUST: Final = "aio_pika.robust_queue"


def _patches() -> Iterable[Patch]:
    for name, maker in _OF_CHANNELS.items():
        yield Patch("aiormq.channel", f"Channel.{name}", maker=maker)
    for name, maker in _OF_ITERATORS.items():
        yield Patch("aio_pika.queue", f"QueueIterator.{name}", maker=maker)
    yield Patch(_ROBUST, "RobustQueue.consume", maker=aio_pika_deliveries.robust_consumes)
    yield Patch(_ROBUST, "RobustQueueIterator.consume", maker=aio_pika_deliveries.iterator_consumes)
    # Since 9.5.6 that class has one of its own.
    yield Patch(_ROBUST, "RobustQueueIterator.__anext__", maker=aio_pika_deliveries.gives_next, required=False)
    yield Patch("aiormq.connection", "Connection.connect", maker=_connected)
    yield Patch("asyncio", "open_connection", maker=_opened)


INTEGRATION = Integration(
    name=NAME,
    aliases=("aio-pika",),
    patches=tuple(_patches()),
    describe=asking.describe_recorded,
    reply_values=asking.reply_values,
    render=asking.render,
    packages={NAME: "aio-pika", "aiormq": "aiormq"},
    instrumentors=(Instrumentor("aio-pika", NAME),),
    oldest=("aio-pika", (9, 0)),
    plumbing=("aiormq.", "pamqp."),
)
