"""Hears what aiohttp tells an app's TraceConfig while it connects, and tells it again in a replay."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import orjson

from timetracer_otel.families.http.messages import CONNECTION_EVENTS
from timetracer_otel.families.http.recording import Recording

__all__ = ["Listener", "listening", "tell"]

_KINDS = ("connection_", "dns_")


class Listener:
    """One more of aiohttp's traces, which keeps the events of one connection.

    Args:
        recording: of the exchange that connects.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._events: list[list[str]] = []

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, None]]:
        async def heard(*arguments: object) -> None:
            event = name.removeprefix("send_")
            if event.startswith(_KINDS):
                self._events.append([event, *map(str, arguments)])
                self._recording.call.attributes[CONNECTION_EVENTS] = orjson.dumps(self._events).decode()

        return heard


def listening(traces: Iterable[Any]) -> bool:
    """Whether anybody listens to such events: most apps do not, and instrumentors only to others."""
    signals = (
        signal
        for trace in traces
        for name, signal in vars(trace._trace_config).items()  # noqa: SLF001 - the only place that has the signals
        if name.lstrip("_").startswith(tuple(f"on_{kind}" for kind in _KINDS))
    )
    return any(len(signal) for signal in signals)


async def tell(traces: Iterable[Any], events: Iterable[list[str]]) -> None:
    """Tell an app's traces what the recorded ones were told."""
    for event, *arguments in events:
        for trace in traces:
            if event.startswith(_KINDS):
                await getattr(trace, f"send_{event}")(*arguments)
