"""RabbitMQ by pika: each message that a consumer gets is an entry, what the app asks and publishes are calls.

The seam is the channel that all of pika's connections stand on, where methods are still objects. In a replay the driver
runs on a connection that reaches nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from timetracer_otel.families.amqp import asking, pika_channels, pika_connections, pika_deliveries
from timetracer_otel.families.amqp.pika_state import NAME
from timetracer_otel.seams import Instrumentor, Integration, Patch

__all__ = ["INTEGRATION"]

_CHANNEL: Final = "pika.channel"
_BLOCKING: Final = "pika.adapters.blocking_connection"
_SERVICES: Final = "pika.adapters.utils.io_services_utils"

_OF_CHANNELS: Final = {
    "_rpc": pika_channels.asks,
    "basic_get": pika_channels.gets,
    "_on_getok": pika_channels.got,
    "_on_getempty": pika_channels.got_none,
    "_on_close_from_broker": pika_channels.closed_by_broker,
    "_transition_to_closed": pika_channels.closes,
    "basic_publish": pika_channels.publishes,
    "confirm_delivery": pika_channels.confirms,
    "_on_return": pika_channels.returns,
    "basic_ack": pika_channels.settles("ack"),
    "basic_nack": pika_channels.settles("nack"),
    "basic_reject": pika_channels.settles("reject"),
    "_on_deliver": pika_deliveries.arrives,
}


def _patches() -> Iterable[Patch]:
    for name, maker in _OF_CHANNELS.items():
        yield Patch(_CHANNEL, f"Channel.{name}", maker=maker)
    yield Patch(_BLOCKING, "BlockingConnection._create_connection", maker=pika_connections.blocking)
    yield Patch(_BLOCKING, "_ConsumerInfo.__init__", maker=pika_deliveries.handles)
    yield Patch(_BLOCKING, "_QueueConsumerGeneratorInfo.__init__", maker=pika_deliveries.pending)
    yield Patch(_BLOCKING, "BlockingChannel.consume", maker=pika_deliveries.consumes)
    yield Patch(
        "opentelemetry.instrumentation.pika.utils",
        "_decorate_callback",
        maker=pika_deliveries.decorated,
        required=False,
    )
    yield Patch(_SERVICES, "SocketConnectionMixin.connect_socket", maker=pika_connections.connects)
    yield Patch(_SERVICES, "StreamingConnectionMixin.create_streaming_connection", maker=pika_connections.streams)
    for module, services in (
        ("pika.adapters.utils.selector_ioloop_adapter", "SelectorIOServicesAdapter"),
        ("pika.adapters.asyncio_connection", "_AsyncioIOServicesAdapter"),
        ("pika.adapters.gevent_connection", "_GeventSelectorIOServicesAdapter"),
    ):
        yield Patch(module, f"{services}.getaddrinfo", maker=pika_connections.addresses, required=False)
    for name in ("nonblocking_socketpair", "_nonblocking_socketpair"):
        yield Patch("pika.compat", name, maker=pika_connections.own_pair, required=False)


INTEGRATION = Integration(
    name=NAME,
    patches=tuple(_patches()),
    describe=asking.describe_recorded,
    reply_values=asking.reply_values,
    render=asking.render,
    packages={NAME: NAME},
    instrumentors=(Instrumentor(NAME, NAME, module="pika_instrumentor"),),
    oldest=(NAME, (1, 2)),
    plumbing=("pika.",),
)
