"""A socket that reaches nowhere behaves as a socket: it waits, does not wait, is polled, read as a file, and closed."""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import uvloop

from timetracer_otel.families.nowhere import END, Dialogue, Fail, Reply, Say, Wait
from timetracer_otel.families.nowhere.sockets import Socket
from timetracer_otel.families.nowhere.tls import PATCHES
from timetracer_otel.families.nowhere.transports import connection, streams
from timetracer_otel.seams import Integration, patching

LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


class Script(Dialogue[bytes]):
    """Answers what a table says; everything else with itself."""

    def __init__(self, **table: Iterable[Reply[bytes]]) -> None:
        self.table = table
        self.silent: Iterable[Reply[bytes]] = ()
        self.closed = False

    def greet(self, say: Say[bytes]) -> Iterable[Reply[bytes]]:
        """Keep how to say something by itself."""
        self.say = say
        return self.table.get("greeting", ())

    def feed(self, data: bytes) -> Iterable[Reply[bytes]]:
        """Answer."""
        return self.table.get(data.decode("latin-1"), (data,))

    def awaited(self) -> Iterable[Reply[bytes]]:
        """Say what is said to who waits."""
        return self.silent

    def close(self) -> None:
        """Take the end."""
        self.closed = True


def readable(sock: Any) -> bool:
    """Whether a selector says that something can be read; that it can be written to is always so."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        ((_, events),) = selector.select(0)
    assert events & selectors.EVENT_WRITE
    return bool(events & selectors.EVENT_READ)


def test_pieces_come_one_by_one() -> None:
    """Each receive gives at most one piece, and what was left of it first."""
    sock = Socket(Script(greeting=(b"hello", b"", b"you"), ask=(b"told",)))
    assert sock.recv(3) == b"hel"
    assert sock.pending() == 2
    assert sock.recv(10, socket.MSG_PEEK) == b"lo"
    assert sock.recv(10) == b"lo"
    sock.sendall(b"ask")
    buffer = bytearray(8)
    assert (sock.recv_into(buffer), bytes(buffer[:3])) == (3, b"you")
    assert sock.recv(0) == b""
    assert sock.sendmsg([b"a", memoryview(b"sk")]) == 3
    assert sock.recv(8, socket.MSG_WAITALL) == b"toldtold"
    with pytest.raises(TypeError):
        sock.sendall("text")


def test_ends_and_failures() -> None:
    """After its end nothing comes, again and again; an exception is made when it is raised."""
    sock = Socket(Script(bye=(b"bye", END), drop=(b"dr", Fail(lambda: ConnectionResetError(104, "reset")))))
    sock.send(b"bye")
    assert [sock.recv(9), sock.recv(9), sock.recv(9)] == [b"bye", b"", b""]
    sock.send(b"drop")
    assert sock.recv(9) == b"dr"
    with pytest.raises(ConnectionResetError, match="reset"):
        sock.recv(9)
    sock.shutdown(socket.SHUT_WR)
    assert sock.recv(9) == b""


def test_waiting() -> None:
    """Without waiting there is BlockingIOError; a timeout is over at once where nothing is said to it."""
    script = Script(slow=(Wait(0.05), b"at last"))
    sock = Socket(script)
    sock.settimeout(0)
    with pytest.raises(BlockingIOError):
        sock.recv(9)
    sock.settimeout(1000)
    with pytest.raises(TimeoutError, match="timed out"):
        sock.recv(9)
    script.silent = (Wait(None),)
    sock.settimeout(0.01)
    with pytest.raises(TimeoutError):
        sock.recv(9)
    script.silent = (b"something",)
    assert sock.recv(9) == b"something"
    sock.settimeout(None)
    sock.sendall(b"slow")
    assert sock.recv(9) == b"at last"


def test_a_wait_may_look_around() -> None:
    """What blocks a thread can be ended by who is asked meanwhile."""

    def left() -> None:
        raise InterruptedError("the client has left")

    sock = Socket(Script(greeting=(Wait(1000, left), b"never")))
    with pytest.raises(InterruptedError):
        sock.recv(9)


@pytest.mark.parametrize("wake", ["say", "send", "close", "shutdown"])
def test_another_thread_ends_a_wait(wake: str) -> None:
    """By what it says, sends or closes."""
    script = Script()
    script.silent = (Wait(None),)
    sock, got = Socket(script), list[Any]()

    def receive() -> None:
        try:
            got.append(sock.recv(9))
        except OSError as error:
            got.append(type(error))

    thread = threading.Thread(target=receive)
    thread.start()
    steps: dict[str, Callable[[], Any]] = {
        "say": lambda: script.say(b"news"),
        "send": lambda: sock.send(b"echo"),
        "close": sock.close,
        "shutdown": lambda: sock.shutdown(socket.SHUT_RDWR),
    }
    steps[wake]()
    thread.join(30)
    assert got == [{"say": b"news", "send": b"echo", "close": OSError, "shutdown": b""}[wake]]


def test_its_descriptor_is_readable_while_something_waits() -> None:
    """Also an end, a failure, what is said by itself and what is due later; it keeps its number."""
    script = Script(slow=(Wait(0.05), b"at last"), bye=(END,))
    sock = Socket(script)
    number = sock.fileno()
    assert not readable(sock)
    sock.send(b"echo")
    assert readable(sock)
    sock.recv(2)
    assert readable(sock)
    sock.recv(2)
    assert not readable(sock)
    script.say(b"news")
    assert readable(sock)
    sock.recv(9)
    assert not readable(sock)
    sock.send(b"slow")
    assert not readable(sock)
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        assert selector.select(30)
    assert sock.recv(9) == b"at last"
    sock.send(b"bye")
    assert readable(sock)
    assert sock.fileno() == number
    sock.close()
    assert sock.fileno() == -1
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(number)


def test_a_forked_child_polls_for_itself() -> None:
    """What it receives the parent does not see, nor the other way round."""
    sock = Socket(Script())
    sock.send(b"echo")
    assert readable(sock)
    child = os.fork()
    if child == 0:
        right = readable(sock) and sock.recv(9) == b"echo" and not readable(sock)
        os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert readable(sock)
    assert sock.recv(9) == b"echo"
    assert not readable(sock)


def test_files() -> None:
    """They read and write through it; it stays open for them."""
    script = Script(greeting=(b"one\ntwo\nth", b"ree\n", END))
    sock = Socket(script)
    file, text = sock.makefile("rb"), sock.makefile("rw", newline="\n")
    sock.close()
    assert file.readline() == b"one\n"
    assert file.read() == b"two\nthree\n"
    file.close()
    closings = [script.closed]
    text.write("echo\n")
    text.flush()
    assert text.readline() == "echo\n"
    text.close()
    assert [*closings, script.closed] == [False, True]
    with pytest.raises(OSError, match="descriptor"):
        sock.recv(1)


def test_a_file_without_waiting_gives_nothing_yet() -> None:
    """As a socket's file does."""
    sock = Socket(Script())
    sock.settimeout(0)
    opened: Any = sock.makefile("rb", buffering=0)
    with opened as file:
        assert file.read(4) is None
        sock.send(b"echo")
        assert file.read(4) == b"echo"


@LOOPS
def test_loops_read_it_by_its_descriptor(run: Any) -> None:
    """As they do for drivers that bring a socket of their own."""

    async def main() -> list[bytes]:
        script = Script(slow=(Wait(0.01), b"at last"))
        sock, loop = Socket(script), asyncio.get_running_loop()
        sock.settimeout(0)
        came: asyncio.Queue[bytes] = asyncio.Queue()
        loop.add_reader(sock.fileno(), lambda: came.put_nowait(sock.recv(9)))
        sock.send(b"echo")
        told = [await came.get()]
        await loop.run_in_executor(None, script.say, b"news")
        told += [await came.get()]
        sock.send(b"slow")
        told += [await came.get()]
        loop.remove_reader(sock.fileno())
        sock.close()
        return told

    assert run(main()) == [b"echo", b"news", b"at last"]


class Buffered(asyncio.BufferedProtocol):
    """A protocol that brings its own, small buffer."""

    def __init__(self) -> None:
        self.buffer = bytearray(3)
        self.came = b""
        self.over: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def get_buffer(self, sizehint: int) -> bytearray:
        """Give it."""
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what is in it."""
        self.came += self.buffer[:nbytes]

    def eof_received(self) -> None:
        """Take the peer's end; the connection closes."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end."""
        self.over.set_result(exc)


@LOOPS
def test_a_protocol_gets_what_comes_and_how_it_ends(run: Any) -> None:
    """Nothing from within write; pieces while it reads; an end or a failure by connection_lost."""

    async def main() -> list[Any]:
        told: list[Any] = []
        for script in (Script(ask=(b"12345", Wait(0.01), b"67", END)), Script(ask=(b"1", Fail(lambda: OSError(5))))):
            transport, protocol = connection(Buffered, script)
            transport.pause_reading()
            transport.write(b"ask")
            await asyncio.sleep(0.01)
            told += [protocol.came]
            transport.resume_reading()
            told += [repr(await protocol.over), protocol.came, transport.is_closing(), script.closed]
        return told

    assert run(main()) == [b"", "None", b"1234567", True, True, b"", "OSError(5)", b"1", True, True]


@LOOPS
def test_a_reader_that_waits_asks(run: Any) -> None:
    """What is said to a client that waits comes once for each wait; another thread's words come by themselves."""

    async def main() -> list[bytes]:
        script = Script(greeting=(b"hello\n",))
        reader, writer = streams(script)
        told = [await reader.readline()]
        script.silent = (Wait(0.01), b"next\n")
        told += [await reader.readline(), await reader.readline()]
        script.silent = (Wait(None),)
        waiting = asyncio.create_task(reader.readline())
        await asyncio.sleep(0.01)
        await asyncio.get_running_loop().run_in_executor(None, script.say, b"news\n")
        told += [await waiting]
        writer.write(b"echo\n")
        await writer.drain()
        told += [await reader.readline()]
        writer.write_eof()
        told += [await reader.read()]
        writer.close()
        await writer.wait_closed()
        return told

    assert run(main()) == [b"hello\n", b"next\n", b"next\n", b"news\n", b"echo\n", b""]


def test_a_live_socket_is_upgraded_as_ever() -> None:
    """The patches that let an upgrade through touch no socket but ours."""
    patching.apply(Integration("tls", PATCHES))
    try:
        ours: Any = Socket(Script())
        upgraded: Any = ssl.create_default_context().wrap_socket(ours, server_hostname="x")
        assert upgraded is ours
        one, other = socket.socketpair()
        one.settimeout(0.01)
        with one, other, pytest.raises(OSError, match="timed out"):
            ssl.create_default_context().wrap_socket(one, server_hostname="x")
    finally:
        patching.undo("tls")
