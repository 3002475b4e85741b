"""The launcher's part: a port for the debugger's client, a door for the processes that have something to debug.

The client stays with the launcher. Behind it one process after the other is debugged, run by run, each under a debugpy
of its own: that is how a lane can be run again, and how reloaders, workers and their masters do not matter.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Final, Self

import orjson

from timetracer_otel.debugging.client import Client
from timetracer_otel.debugging.counting import COUNTS
from timetracer_otel.debugging.visits import Visit, VisitEnded
from timetracer_otel.errors import ConfigError

__all__ = ["Proxy"]

_HOST: Final = "127.0.0.1"
_LARGEST: Final = 2**24
"""Bytes of a message."""


class Proxy:
    """Serves debuggers while the replayed program runs, in a thread of its own.

    Args:
        port: for the client.
        door: path of the socket for the processes.
        call: the recorded call before whose line to stop; empty for none.
        end_program: ends the replayed program.
    """

    def __init__(self, port: int, door: Path, call: str, end_program: Callable[[], None]) -> None:
        self._port = port
        self._door = door
        self._call = call
        self._end_program = end_program
        self._loop = asyncio.new_event_loop()
        self._started: Future[None] = Future()
        self._thread = Thread(target=self._run, name="timetracer-debugger", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.result()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._thread.join()

    def close(self) -> None:
        """Let everybody go; once is enough."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._closing.set)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._closing = asyncio.Event()
        self._clients: asyncio.Queue[Client] = asyncio.Queue()
        self._connections: list[Client] = []
        self._visits: asyncio.Queue[Visit] = asyncio.Queue()
        try:
            await asyncio.start_unix_server(self._visited, self._door)
            await asyncio.start_server(self._connected, _HOST, self._port, limit=_LARGEST)
        except OSError as error:
            self._started.set_exception(
                ConfigError(f"--debug dap:{self._port}: nothing can listen there: {error.strerror or error}")
            )
            return
        self._started.set_result(None)
        working = asyncio.create_task(self._work())
        await self._closing.wait()
        for client in self._connections:
            client.end()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(working, *others, return_exceptions=True)

    async def _visited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # as below
            line = await reader.readline()
            self._visits.put_nowait(Visit(reader, writer, orjson.loads(line)))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back = COUNTS and sys.platform == "linux"
        client = Client(reader, writer, back=back, end_program=self._end_program)
        self._clients.put_nowait(client)
        self._connections.append(client)
        with suppress(asyncio.CancelledError):  # at the end; asyncio would print it
            await client.serve()
        self._connections.remove(client)

    async def _work(self) -> None:
        """Debug what comes, one after the other, with the client that is there then."""
        while True:
            visit = await self._visits.get()
            try:
                await (await self._client()).debug(visit, self._call)
            except VisitEnded:
                continue
            finally:
                visit.close()

    async def _client(self) -> Client:
        while True:
            client = await self._clients.get()
            await client.is_ready.wait()
            if not client.has_left.is_set():
                self._clients.put_nowait(client)
                return client
