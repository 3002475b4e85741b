"""Processes that wait at the launcher's door with something to debug, and do what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson

from timetracer_otel.debugging.control import Lines
from timetracer_otel.debugging.counting import Place

__all__ = ["Visit", "VisitEnded"]


class VisitEnded(Exception):  # noqa: N818 - it is an event, not an error
    """The process has ended, or the run that was asked for."""


class Visit:
    """One process with something to debug.

    Args:
        reader: of its connection.
        writer: likewise.
        facts: what it said first.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, facts: dict[str, Any]) -> None:
        self.name = str(facts["entry"])
        self.forks = bool(facts["forks"])
        """Whether it can be run again."""
        self.back = bool(facts["back"])
        """Whether there is a way back."""
        self.responding = False
        """Whether its response has begun to leave."""
        self.ended = asyncio.Event()
        """Set while no run is under way."""
        self.ended.set()
        self._reader = reader
        self._writer = writer
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    async def run(self, *, muted: bool = False) -> int:
        """Begin a run under debugpy.

        Args:
            muted: whether the client must not see it.

        Returns:
            The port at which it listens.

        Raises:
            VisitEnded: it ended first.
        """
        self._order(do="debug", muted=muted)
        return int(await self._hear("listening"))

    async def scout(self, **order: Any) -> Place:
        """Run ahead to find a place.

        Args:
            order: as :class:`Scout` has it: ``call`` or ``back``.

        Raises:
            VisitEnded: it came to the entry's end.
        """
        self._order(do="scout", muted=True, **order)
        place = Place.of(await self._hear("place"))
        await self._hear("ended")
        return place

    async def kill(self) -> None:
        """End the run that is under way."""
        if not self.ended.is_set():
            self._send(do="kill")
            await self.ended.wait()

    def close(self) -> None:
        """Leave the process alone."""
        self._reading.cancel()
        self._writer.close()

    def _order(self, **facts: Any) -> None:
        self.ended.clear()
        while not self._told.empty():
            self._told.get_nowait()
        self._send(**facts)

    def _send(self, **facts: Any) -> None:
        self._writer.write(orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE))

    async def _hear(self, name: str) -> Any:
        while True:
            facts = await self._told.get()
            if name in facts:
                return facts[name]
            if "ended" in facts:
                raise VisitEnded

    async def _read(self) -> None:
        async for facts in _messages(self._reader):
            self.responding = self.responding or "responding" in facts
            if "ended" in facts:
                self.ended.set()
            self._told.put_nowait(facts)
        self.ended.set()
        self._told.put_nowait({"ended": True})


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    lines = Lines()
    while data := await reader.read(65536):
        for facts in lines.feed(data):
            yield facts
