"""TLS on connections that reach nowhere: an upgrade changes nothing, as nothing passes that could be read.

A driver upgrades where its peer agrees to it (``S`` to PostgreSQL's SSLRequest, CLIENT_SSL of MySQL's greeting). An
integration that has such connections names :data:`PATCHES` among its own.
"""

from __future__ import annotations

from typing import Any, Final

from timetracer_otel.families.nowhere.sockets import Socket
from timetracer_otel.families.nowhere.transports import Transport
from timetracer_otel.seams import Patch

__all__ = ["PATCHES"]


def _wrap_socket(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    sock = args[0] if args else kwargs.get("sock")
    return sock if isinstance(sock, Socket) else wrapped(*args, **kwargs)


async def _start_tls(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    transport = args[0] if args else kwargs.get("transport")
    if not isinstance(transport, Transport):
        return await wrapped(*args, **kwargs)
    transport.set_protocol(args[1] if len(args) > 1 else kwargs["protocol"])
    return transport


PATCHES: Final = (
    Patch("ssl", "SSLContext.wrap_socket", _wrap_socket),
    Patch("asyncio.base_events", "BaseEventLoop.start_tls", _start_tls),
    Patch("uvloop", "Loop.start_tls", _start_tls),
)
