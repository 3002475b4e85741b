"""The measured program of downloads by one client, made before. Prints JSON.

usage: http_large_app.py CLIENT streamed|whole|large|late URL

``streamed`` and ``whole`` download 200 MB, read piecemeal or at once. ``large`` and ``late`` stream bodies of 300 kB,
of a peer that answers at once or after 5 ms, by turns recorded and not, and give the median time to the first byte of
either: two processes differ by more than what is measured. Of such a body, as of one of 200 MB, the first piece is not
the last, and nothing that comes behind it is measured. Each begins as a lone download does: by code that was used
before, with nothing to be written, while the processor's caches hold something else.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

BLOCK = 65536
BLOCKS = 10
WARMING = 5
FIRSTS = 20
PAUSE = 0.02
SOMETHING_ELSE = bytearray(16 << 20)
HUGE = 1 << 40
"""Above any body here: Tornado takes no more than 100 MB by default."""
Took = Callable[[bytes], None]
Download = Callable[..., Awaitable[None] | None]


def _each(pieces: Iterable[bytes], took: Took) -> None:
    for piece in pieces:
        took(piece)


def by_httpx() -> Download:
    """By httpx, sync."""
    httpx: Any = importlib.import_module("httpx")
    client = httpx.Client(timeout=60)

    def download(url: str, took: Took, *, streamed: bool) -> None:
        if not streamed:
            took(client.get(url).content)
            return
        with client.stream("GET", url) as response:
            _each(response.iter_bytes(), took)

    return download


def by_httpx_async() -> Download:
    """By httpx, async."""
    httpx: Any = importlib.import_module("httpx")
    client = httpx.AsyncClient(timeout=60)

    async def download(url: str, took: Took, *, streamed: bool) -> None:
        if not streamed:
            took((await client.get(url)).content)
            return
        async with client.stream("GET", url) as response:
            async for piece in response.aiter_bytes():
                took(piece)

    return download


def by_requests() -> Download:
    """By requests."""
    session: Any = importlib.import_module("requests").Session()

    def download(url: str, took: Took, *, streamed: bool) -> None:
        response = session.get(url, stream=streamed, timeout=60)
        _each(response.iter_content(BLOCK) if streamed else [response.content], took)

    return download


def by_urllib3() -> Download:
    """By urllib3."""
    pool: Any = importlib.import_module("urllib3").PoolManager()

    def download(url: str, took: Took, *, streamed: bool) -> None:
        response = pool.request("GET", url, preload_content=not streamed)
        _each(response.stream(BLOCK) if streamed else [response.data], took)

    return download


def by_urllib() -> Download:
    """By urllib.request, which keeps no connection."""

    def download(url: str, took: Took, *, streamed: bool) -> None:
        with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - the bench's own http: URL
            _each(iter(lambda: response.read(BLOCK), b"") if streamed else [response.read()], took)

    return download


def by_aiohttp() -> Download:
    """By aiohttp."""
    session: Any = importlib.import_module("aiohttp").ClientSession()

    async def download(url: str, took: Took, *, streamed: bool) -> None:
        async with session.get(url) as response:
            if not streamed:
                took(await response.read())
                return
            async for piece in response.content.iter_chunked(BLOCK):
                took(piece)

    return download


def by_tornado() -> Download:
    """By the simple client of Tornado, which keeps no connection."""
    simple: Any = importlib.import_module("tornado.simple_httpclient")
    client = simple.SimpleAsyncHTTPClient(max_body_size=HUGE, max_buffer_size=1 << 22)

    async def download(url: str, took: Took, *, streamed: bool) -> None:
        if streamed:
            await client.fetch(url, streaming_callback=took, request_timeout=60)
        else:
            took((await client.fetch(url, request_timeout=60)).body)

    return download


CLIENTS: dict[str, Callable[[], Download]] = {
    "httpx": by_httpx,
    "httpx-async": by_httpx_async,
    "requests": by_requests,
    "urllib3": by_urllib3,
    "urllib": by_urllib,
    "aiohttp": by_aiohttp,
    "tornado": by_tornado,
}


ON_A_LOOP = frozenset({"httpx-async", "aiohttp", "tornado"})


def _peak() -> int:
    """Bytes of memory that this process ever held, from proc(5): the figure of getrusage may be the parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


class _Watch:
    """Takes the pieces of one download after the other."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin to measure."""
        self.total, self._first, self._start, self._cpu = 0, 0.0, time.perf_counter(), time.process_time()

    def took(self, piece: bytes) -> None:
        """Take a piece."""
        self._first = self._first or time.perf_counter()
        self.total += len(piece)

    @property
    def first(self) -> float:
        """Seconds until the first piece."""
        return self._first - self._start

    def figures(self) -> dict[str, float]:
        """Seconds since it began."""
        now, cpu = time.perf_counter(), time.process_time()
        return {"first": self.first, "total": now - self._start, "cpu": cpu - self._cpu, "bytes": self.total}


async def _block(ask: Callable[[], Awaitable[None]], watch: _Watch, taken: list[float]) -> None:
    for number in range(-WARMING, FIRSTS):
        time.sleep(PAUSE)  # noqa: ASYNC251 - nothing else runs on this loop
        bytes(SOMETHING_ELSE)
        watch.begin()
        await ask()
        if number >= 0:
            taken.append(watch.first)


async def _firsts(ask: Callable[[], Awaitable[None]], watch: _Watch) -> dict[str, float]:
    testing: Any = importlib.import_module("timetracer_otel.testing")
    firsts: dict[str, list[float]] = {"otel": [], "record": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(BLOCKS):
            for name, taken in firsts.items():
                recorded = testing.record(Path(folder), nondeterminism="none") if name == "record" else nullcontext()
                with recorded:
                    await _block(ask, watch, taken)
    return {name: statistics.median(taken) for name, taken in firsts.items()}


async def measured(client: str, how: str, url: str) -> dict[str, float]:
    """Download by a client that is made here."""
    download, watch = CLIENTS[client](), _Watch()

    async def ask(path: str) -> None:
        result = download(url + path, watch.took, streamed=how != "whole")
        if inspect.isawaitable(result):
            await result

    if how in {"large", "late"}:
        return await _firsts(lambda: ask(f"/{how}/300000"), watch)
    await ask("/large/100")  # what is imported first is not measured
    before = _peak()
    watch.begin()
    await ask("/large/200000000")
    return {**watch.figures(), "before": before, "peak": _peak()}


def _without_loop(steps: Coroutine[Any, Any, dict[str, float]]) -> dict[str, float]:
    """Run what never waits: a client that is not async must not find a loop, where a recording waits less."""
    try:
        steps.send(None)
    except StopIteration as end:
        figures: dict[str, float] = end.value
        return figures
    raise SystemExit("a client that is not async has waited")


def main(client: str, how: str, url: str) -> None:
    """Measure, and print the figures."""
    run = asyncio.run if client in ON_A_LOOP else _without_loop
    figures = run(measured(client, how, url))
    print(json.dumps({name: round(value, 6) for name, value in figures.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
