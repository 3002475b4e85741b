"""Load over keep-alive connections, in a process of its own; it can kill what it asks, at a request's moment.

``python -m scripts.soak_load --port 8000 --requests 20000 --kill-after 10000 --kill 4711`` prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field

__all__ = ["Outcome", "run"]


@dataclass
class Outcome:
    """What became of the requests.

    Attributes:
        answered: number of the request -> when its whole answer was there, seconds of the monotonic clock.
        took: seconds of each answer, in order of the answers.
        wrong: numbers whose answer was not the right one.
        cut: how many connections broke.
        killed: when the server was killed; None when it was not.
    """

    answered: dict[int, float] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)
    cut: int = 0
    killed: float | None = None


class _Load:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.outcome = Outcome()
        self.numbers: Iterator[int] = iter(range(options.first, options.first + options.requests))
        self.start = time.monotonic()

    async def connection(self) -> None:
        """Ask one request after the other until there is none left, or the server is gone."""
        while self.outcome.killed is None:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.options.port)
            except OSError:
                self.outcome.cut += 1
                if self.options.kill:
                    return
                await asyncio.sleep(0.01)
                continue
            try:
                if await self._use(reader, writer):
                    return
            except (OSError, asyncio.IncompleteReadError):
                self.outcome.cut += 1
            finally:
                writer.close()

    async def _use(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the numbers are used up; False when the server closed the connection."""
        for number in self.numbers:
            await self._wait_for_turn(number)
            begun = time.monotonic()
            writer.write(b"GET /items/%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number)
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(_length(head))
            self._note(number, head, body, begun)
            if self.outcome.killed is not None:
                return True
            if b"connection: close" in head.lower():
                return False
        return True

    async def _wait_for_turn(self, number: int) -> None:
        if self.options.rate:
            turn = self.start + (number - self.options.first) / self.options.rate
            await asyncio.sleep(max(0.0, turn - time.monotonic()))

    def _note(self, number: int, head: bytes, body: bytes, begun: float) -> None:
        now = time.monotonic()
        outcome = self.outcome
        outcome.took.append(now - begun)
        outcome.answered[number] = now
        if not head.startswith(b"HTTP/1.1 200") or not body.startswith(b"%d " % number):
            outcome.wrong.append(number)
        if self.options.kill and outcome.killed is None and len(outcome.answered) >= self.options.kill_after:
            outcome.killed = time.monotonic()
            for process in self.options.kill:
                with suppress(ProcessLookupError):
                    os.killpg(process, signal.SIGKILL)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    raise OSError("the answer has no Content-Length")


async def _run(options: argparse.Namespace) -> Outcome:
    load = _Load(options)
    await asyncio.gather(*(load.connection() for _ in range(options.concurrency)))
    return load.outcome


def run(arguments: list[str] | None = None) -> None:
    """Read the arguments, load the server, print the outcome as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--first", type=int, default=0, help="number of the first request")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; as fast as it goes when 0")
    parser.add_argument("--kill", type=int, action="append", default=[], help="process group to kill")
    parser.add_argument("--kill-after", type=int, default=0, help="how many answers before the kill")
    outcome = asyncio.run(_run(parser.parse_args(arguments)))
    json.dump(asdict(outcome), sys.stdout)


if __name__ == "__main__":
    run()
