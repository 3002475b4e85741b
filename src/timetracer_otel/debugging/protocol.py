"""The Debug Adapter Protocol: messages through a connection, and requests to a debuggee."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any, Final, Self, TypeAlias

import orjson

__all__ = ["LOST", "Debuggee", "Message", "read", "write"]

Message: TypeAlias = dict[str, Any]

_LENGTH: Final = b"content-length"
LOST: Final[Message] = {"type": "response", "success": False, "message": "the run has ended", "body": {}}
"""The response to a request of a run that has ended first."""


async def read(reader: asyncio.StreamReader) -> Message | None:
    """Read a message; None at the end.

    Args:
        reader: of the connection.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n") if b":" in line)
        message: Message = orjson.loads(await reader.readexactly(int(fields[_LENGTH])))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, KeyError, ValueError):
        return None
    return message


def write(writer: asyncio.StreamWriter, message: Message) -> None:
    """Write a message.

    Args:
        writer: of the connection.
        message: numbered.
    """
    body = orjson.dumps(message)
    writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))


def _ignore(_message: Message) -> None:
    """A response that nobody waits for."""


class Debuggee:
    """A process under pydevd, which speaks the protocol itself.

    Args:
        reader: of the connection.
        writer: likewise.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.events: asyncio.Queue[Message | None] = asyncio.Queue()
        """What it says by itself; None at its end."""
        self._writer = writer
        self._numbers = count(1)
        self._waiting: dict[int, Callable[[Message], object]] = {}
        self._ended = False
        self._reading = asyncio.create_task(self._read(reader))

    @classmethod
    async def connect(cls, port: int) -> Self:
        """Connect to one on this machine.

        Args:
            port: where it listens.

        Raises:
            OSError: it does not.
        """
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**24))

    def send(self, command: str, arguments: Any, answered: Callable[[Message], object]) -> None:
        """Send a request.

        Args:
            command: of the protocol.
            arguments: its own.
            answered: is given the response, in order with the events.
        """
        if self._ended:
            answered(LOST)
            return
        number = next(self._numbers)
        self._waiting[number] = answered
        write(self._writer, {"seq": number, "type": "request", "command": command, "arguments": arguments})

    def ask(self, command: str, **arguments: Any) -> asyncio.Future[Message]:
        """Send a request of our own.

        Args:
            command: of the protocol.
            arguments: its own.

        Returns:
            The response, which may say that it failed.
        """
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.send(command, arguments, lambda message: None if future.done() else future.set_result(message))
        return future

    def close(self) -> None:
        """Leave it alone."""
        self._writer.close()
        self._reading.cancel()
        self._end()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while (message := await read(reader)) is not None:
            if message["type"] == "response":
                self._waiting.pop(message["request_seq"], _ignore)(message)
            else:
                self.events.put_nowait(message)
        self._end()

    def _end(self) -> None:
        self._ended = True
        waiting, self._waiting = self._waiting, {}
        for answered in waiting.values():
            answered(LOST)
        self.events.put_nowait(None)
