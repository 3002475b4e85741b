"""A made-up protocol with its server and its drivers: pipelines, pushes, a blocking pop, an upgrade to TLS.

The server greets first. A request is lines and an empty line; each line has one reply, a line. ``>`` begins a line that
nothing asked for.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

Address = tuple[str, int]


class Server:
    """What all of its connections share."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.tls = tls
        self.values: dict[str, str] = {}
        self.queues: dict[str, asyncio.Queue[str]] = defaultdict(asyncio.Queue)
        self.listeners: dict[str, list[asyncio.StreamWriter]] = defaultdict(list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one client."""
        writer.write(b"HI parley 1\n")
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await reader.readuntil(b"\n\n")
                for line in request.decode().split("\n")[:-2]:
                    if not await self.answer(writer, *line.split(" ")):
                        return

    async def answer(self, writer: asyncio.StreamWriter, command: str, *args: str) -> bool:
        """Answer one line; whether the connection stays."""
        if command == "DROP":
            writer.transport.abort()
            return False
        if command == "TLS":
            writer.write(b"READY\n")
            await writer.start_tls(self.tls)
            return True
        writer.write((await self.reply(writer, command, *args)).encode() + b"\n")
        if command == "BYE":
            writer.close()
        return command != "BYE"

    async def reply(self, writer: asyncio.StreamWriter, command: str, *args: str) -> str:
        """The reply to a line."""
        match command, *args:
            case "GET", name:
                return self.values.get(name, "NONE")
            case "BLOB", size:
                return "x" * int(size)
            case "POP", name, milliseconds:
                return await self.popped(name, int(milliseconds) / 1000)
            case "SAY", channel, text:
                for listener in self.listeners[channel]:
                    listener.write(f">{channel} {text}\n".encode())
                return f"TOLD {len(self.listeners[channel])}"
            case "SET", name, value:
                self.values[name] = value
            case "PUSH", name, value:
                self.queues[name].put_nowait(value)
            case "SUB", channel:
                self.listeners[channel].append(writer)
        return "OK"

    async def popped(self, name: str, seconds: float) -> str:
        """What comes into a queue in time."""
        try:
            return await asyncio.wait_for(self.queues[name].get(), seconds)
        except TimeoutError:
            return "NIL"


@contextmanager
def serving(tls: ssl.SSLContext) -> Iterator[Address]:
    """Run a server in a thread of its own; give its address."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(Server(tls).serve, "127.0.0.1", 0, limit=2**24))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Asked:
    """One request while its replies come."""

    def __init__(self, commands: tuple[str, ...]) -> None:
        self.request = "".join(f"{command}\n" for command in commands).encode() + b"\n"
        self.count = len(commands)
        self.replies: list[bytes] = []


class Driver:
    """What the drivers share."""

    def __init__(self) -> None:
        self.messages: deque[str] = deque()
        self.greeting = ""

    def pushed(self, line: bytes) -> None:
        """Take a line that nothing asked for."""
        self.messages.append(line[1:].decode().rstrip("\n"))

    def take(self, asked: Asked, line: bytes) -> None:
        """Take a line while replies are waited for."""
        if not line:
            raise ConnectionError("the server has closed the connection")
        if line.startswith(b">"):
            self.pushed(line)
        else:
            asked.replies.append(line)


class Client(Driver):
    """The blocking driver."""

    def __init__(self, address: Address, trust: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.sock = self.connect(address)
        self.file = self.sock.makefile("rb")
        self.greeting = self.file.readline().decode().rstrip()
        if trust is not None:
            self.ask("TLS")
            self.file.close()
            self.sock = trust.wrap_socket(self.sock, server_hostname="localhost")
            self.file = self.sock.makefile("rb")

    def connect(self, address: Address) -> socket.socket:
        """Give a connected socket."""
        return socket.create_connection(address, timeout=10)

    def ask(self, *commands: str) -> list[str]:
        """Send lines together, give their replies."""
        return [reply.decode().rstrip("\n") for reply in self.exchange(Asked(commands))]

    def exchange(self, asked: Asked) -> list[bytes]:
        """Send a request, give the replies' lines."""
        self.sock.sendall(asked.request)
        while len(asked.replies) < asked.count:
            self.take(asked, self.file.readline())
        return asked.replies

    def message(self, timeout: float) -> str | None:
        """The next message; None when none comes in time."""
        self.sock.settimeout(timeout)
        try:
            if not self.messages:
                self.pushed(self.sock.recv(4096))  # not the file, of which nothing may be read after a timeout
        except TimeoutError:
            return None
        finally:
            self.sock.settimeout(10)
        return self.messages.popleft()

    def close(self) -> None:
        """End it."""
        self.file.close()
        self.sock.close()


class AsyncClient(Driver):
    """The driver on a pair of streams."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def connect(self, address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Give a connected pair."""
        return await asyncio.open_connection(*address, limit=2**24)

    async def start(self, address: Address, trust: ssl.SSLContext | None = None) -> None:
        """Connect."""
        self.reader, self.writer = await self.connect(address)
        self.greeting = (await self.line()).decode().rstrip()
        if trust is not None:
            await self.ask("TLS")
            await self.writer.start_tls(trust, server_hostname="localhost")

    def write(self, data: bytes) -> None:
        """Send."""
        self.writer.write(data)

    async def line(self) -> bytes:
        """The next line."""
        return await self.reader.readline()

    async def ask(self, *commands: str) -> list[str]:
        """Send lines together, give their replies."""
        return [reply.decode().rstrip("\n") for reply in await self.exchange(Asked(commands))]

    async def exchange(self, asked: Asked) -> list[bytes]:
        """Send a request, give the replies' lines."""
        self.write(asked.request)
        while len(asked.replies) < asked.count:
            self.take(asked, await self.line())
        return asked.replies

    async def message(self, timeout: float) -> str | None:  # noqa: ASYNC109 - as the blocking driver has it
        """The next message; None when none comes in time."""
        try:
            if not self.messages:
                self.pushed(await asyncio.wait_for(self.line(), timeout))
        except TimeoutError:
            return None
        return self.messages.popleft()

    async def close(self) -> None:
        """End it."""
        self.writer.close()


class ProtocolClient(AsyncClient):
    """The driver on a protocol of its own, which nobody asks whether it waits."""

    transport: asyncio.Transport

    async def create(self, factory: Callable[[], asyncio.Protocol], address: Address) -> tuple[Any, Any]:
        """Give a connected transport and its protocol."""
        return await asyncio.get_running_loop().create_connection(factory, *address)

    async def start(self, address: Address, trust: ssl.SSLContext | None = None) -> None:
        """Connect."""
        self.transport, self.lines = await self.create(Lines, address)
        self.greeting = (await self.line()).decode().rstrip()
        if trust is not None:
            await self.ask("TLS")
            loop = asyncio.get_running_loop()
            upgraded = await loop.start_tls(self.transport, self.lines, trust, server_hostname="localhost")
            assert upgraded is not None
            self.transport = upgraded

    def write(self, data: bytes) -> None:
        """Send."""
        self.transport.write(data)

    async def line(self) -> bytes:
        """The next line."""
        line: bytes = await self.lines.get()
        return line

    async def close(self) -> None:
        """End it."""
        self.transport.close()


class Lines(asyncio.Protocol):
    """Cuts what comes into lines."""

    def __init__(self) -> None:
        self._part = b""
        self._lines: asyncio.Queue[bytes | Exception] = asyncio.Queue()

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        *lines, self._part = (self._part + data).split(b"\n")
        for line in lines:
            self._lines.put_nowait(line + b"\n")

    def connection_lost(self, error: Exception | None) -> None:
        """Take the end."""
        self._lines.put_nowait(b"" if error is None else error)

    async def get(self) -> bytes:
        """The next line; nothing at the end."""
        line = await self._lines.get()
        if isinstance(line, Exception):
            raise line
        return line
