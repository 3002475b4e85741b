"""aiohttp tells an app's TraceConfig in a replay what it told it live, in the same order."""

from __future__ import annotations

import inspect
from typing import Any

import aiohttp

from tests.http.conftest import Run
from tests.http.server import ShapeServer


def _heard_by(events: list[Any]) -> aiohttp.TraceConfig:
    config = aiohttp.TraceConfig()
    for name in [name for name, _ in inspect.getmembers(aiohttp.TraceConfig) if name.startswith("on_")]:

        async def heard(_session: object, _context: object, params: Any, name: str = name) -> None:
            told = {
                key: str(getattr(params, key))
                for key in ("host", "chunk", "method", "exception")
                if hasattr(params, key)
            }
            events.append((name, told))

        getattr(config, name).append(heard)
    return config


def test_events_come_in_their_order(server: ShapeServer, both: Run) -> None:
    """Of new and reused connections, names looked up and cached, pieces sent and received, redirects and failures."""

    async def run() -> list[Any]:
        events: list[Any] = []
        named = server.url.replace("127.0.0.1", "localhost")
        connector = aiohttp.TCPConnector(limit=1, force_close=False)
        async with aiohttp.ClientSession(trace_configs=[_heard_by(events)], connector=connector) as session:
            for url in (named + "/json", named + "/json", server.url + "/json", named + "/redirect"):
                async with session.get(url) as response:
                    await response.read()
            async with session.post(named + "/echo", data=b"abc") as response:
                await response.read()
            try:
                await session.get(named + "/hang-up")
            except aiohttp.ClientError as error:
                events.append(type(error))
        return events

    recorded, replayed = both(run)
    assert replayed == recorded
    names = [event[0] for event in recorded if isinstance(event, tuple)]
    for name in ("connection_create_start", "connection_create_end", "connection_reuseconn", "dns_cache_miss"):
        assert f"on_{name}" in names


def test_failing_to_connect_is_told(both: Run) -> None:
    """What was told before the connection failed is told again, and nothing else."""

    async def run() -> list[Any]:
        events: list[Any] = []
        async with aiohttp.ClientSession(trace_configs=[_heard_by(events)]) as session:
            try:
                await session.get("http://127.0.0.1:9/")
            except aiohttp.ClientConnectorError as error:
                events.append((type(error), str(error)))
        return events

    recorded, replayed = both(run)
    assert replayed == recorded
    assert "on_connection_create_start" in [event[0] for event in recorded]
    assert "on_connection_create_end" not in [event[0] for event in recorded]
