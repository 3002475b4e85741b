"""The measured program of large downloads: one of them by a client, read piecemeal or whole. Prints JSON.

usage: http_large_app.py CLIENT streamed|whole URL
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

BLOCK = 65536
HUGE = 1 << 40
"""Above any body here: Tornado takes no more than 100 MB by default."""
Took = Callable[[bytes], None]


def _each(pieces: Iterable[bytes], took: Took) -> None:
    for piece in pieces:
        took(piece)


def by_httpx(url: str, took: Took, *, streamed: bool) -> None:
    """By httpx, sync."""
    httpx: Any = importlib.import_module("httpx")
    if not streamed:
        took(httpx.get(url, timeout=60).content)
        return
    with httpx.stream("GET", url, timeout=60) as response:
        _each(response.iter_bytes(), took)


async def by_httpx_async(url: str, took: Took, *, streamed: bool) -> None:
    """By httpx, async."""
    httpx: Any = importlib.import_module("httpx")
    async with httpx.AsyncClient(timeout=60) as client:
        if not streamed:
            took((await client.get(url)).content)
            return
        async with client.stream("GET", url) as response:
            async for piece in response.aiter_bytes():
                took(piece)


def by_requests(url: str, took: Took, *, streamed: bool) -> None:
    """By requests."""
    requests: Any = importlib.import_module("requests")
    response = requests.get(url, stream=streamed, timeout=60)
    _each(response.iter_content(BLOCK) if streamed else [response.content], took)


def by_urllib3(url: str, took: Took, *, streamed: bool) -> None:
    """By urllib3."""
    urllib3: Any = importlib.import_module("urllib3")
    response = urllib3.request("GET", url, preload_content=not streamed)
    _each(response.stream(BLOCK) if streamed else [response.data], took)


def by_urllib(url: str, took: Took, *, streamed: bool) -> None:
    """By urllib.request."""
    with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - the bench's own http: URL
        _each(iter(lambda: response.read(BLOCK), b"") if streamed else [response.read()], took)


async def by_aiohttp(url: str, took: Took, *, streamed: bool) -> None:
    """By aiohttp."""
    aiohttp: Any = importlib.import_module("aiohttp")
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        if not streamed:
            took(await response.read())
            return
        async for piece in response.content.iter_chunked(BLOCK):
            took(piece)


async def by_tornado(url: str, took: Took, *, streamed: bool) -> None:
    """By the simple client of Tornado."""
    simple: Any = importlib.import_module("tornado.simple_httpclient")
    client = simple.SimpleAsyncHTTPClient(max_body_size=HUGE, max_buffer_size=1 << 22)
    if streamed:
        await client.fetch(url, streaming_callback=took, request_timeout=60)
    else:
        took((await client.fetch(url, request_timeout=60)).body)


CLIENTS: dict[str, Callable[..., None] | Callable[..., Awaitable[None]]] = {
    "httpx": by_httpx,
    "httpx-async": by_httpx_async,
    "requests": by_requests,
    "urllib3": by_urllib3,
    "urllib": by_urllib,
    "aiohttp": by_aiohttp,
    "tornado": by_tornado,
}


def _peak() -> int:
    """Bytes of memory that this process ever held, from proc(5): the figure of getrusage may be the parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def main(client: str, how: str, url: str) -> None:
    """Download twice, a little and all of it: what is imported first is not measured."""
    download = CLIENTS[client]
    total, first = 0, 0.0

    def took(piece: bytes) -> None:
        nonlocal total, first
        first = first or time.perf_counter()
        total += len(piece)

    def run(path: str) -> None:
        result = download(url + path, took, streamed=how == "streamed")
        if result is not None:
            asyncio.run(_awaited(result))

    run("/large/100")
    before, total, first = _peak(), 0, 0.0
    start, cpu = time.perf_counter(), time.process_time()
    run("/large/200000000")
    end = time.perf_counter()
    figures = {"first": first - start, "total": end - start, "cpu": time.process_time() - cpu, "peak": _peak()}
    print(json.dumps({k: round(v, 6) for k, v in figures.items()} | {"before": before, "bytes": total}))


async def _awaited(result: Awaitable[None]) -> None:
    await result


if __name__ == "__main__":
    main(*sys.argv[1:])
