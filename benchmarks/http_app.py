"""The measured program of small HTTP calls: the same GET again and again on one connection. Prints JSON.

usage: http_app.py requests|httpx|httpx-async CALLS URL [CASSETTE]

With a cassette, vcrpy goes around the calls: it records when the file is not there, and else plays it.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

WARM = 30
Ask = Callable[[int], None]


def _by_requests(url: str) -> Ask:
    requests: Any = importlib.import_module("requests")
    session = requests.Session()
    session.trust_env = False

    def ask(count: int) -> None:
        for number in range(count):
            _check(session.get(f"{url}/small?n={number % 10}", timeout=10).content)

    return ask


def _by_httpx(url: str) -> Ask:
    httpx: Any = importlib.import_module("httpx")
    client = httpx.Client(trust_env=False)

    def ask(count: int) -> None:
        for number in range(count):
            _check(client.get(f"{url}/small?n={number % 10}").content)

    return ask


def _by_httpx_async(url: str) -> Ask:
    httpx: Any = importlib.import_module("httpx")
    loop = asyncio.new_event_loop()
    client = httpx.AsyncClient(trust_env=False)

    async def ask_all(count: int) -> None:
        for number in range(count):
            _check((await client.get(f"{url}/small?n={number % 10}")).content)

    return lambda count: loop.run_until_complete(ask_all(count))


def _check(body: bytes) -> None:
    if not body.startswith(b'{"rates"'):
        raise SystemExit("the peer answered something else")


CLIENTS: dict[str, Callable[[str], Ask]] = {
    "requests": _by_requests,
    "httpx": _by_httpx,
    "httpx-async": _by_httpx_async,
}


def _around(cassette: str) -> AbstractContextManager[Any]:
    if not cassette:
        return nullcontext()
    vcr: Any = importlib.import_module("vcr")
    return vcr.use_cassette(cassette, record_mode="once")  # type: ignore[no-any-return]  # ships no types


def main(client: str, calls: int, url: str, cassette: str = "") -> None:
    """Ask often, and measure the calls alone: not the start, nor how a cassette is loaded or written at the end."""
    ask = CLIENTS[client](url)
    around = _around(cassette)
    whole = time.process_time()
    with around:
        ask(WARM)
        cpu, wall = time.process_time(), time.perf_counter()
        ask(calls)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    whole = time.process_time() - whole
    print(json.dumps({"cpu_us": cpu / calls * 1e6, "wall_us": wall / calls * 1e6, "whole_us": whole / calls * 1e6}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
