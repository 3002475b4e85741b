"""A replay reaches nothing outside: sockets, name look-ups both ways, uvloop's own; what it cannot see it names."""

from __future__ import annotations

import _socket
import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvloop

from timetracer_otel import OutboundRefused, testing
from timetracer_otel.seams import MADE_UP_DOMAIN, live_io

PEER = ("127.0.0.1", 9)
NAME = "peer.invalid"
Loop = asyncio.AbstractEventLoop


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[testing.Replay]:
    """A replay of a recording in which nothing was asked."""
    with testing.record(tmp_path):
        pass
    with testing.replay(tmp_path) as replay:
        yield replay


PLAIN: dict[str, Callable[[], Any]] = {
    "connect": lambda: socket.create_connection(PEER),
    "look up": lambda: socket.getaddrinfo(NAME, 80),
    "look up, old": lambda: socket.gethostbyname(NAME),
    "reverse": lambda: socket.gethostbyaddr("192.0.2.1"),
    "reverse, by name": lambda: socket.gethostbyaddr(NAME),
    "connect, for a status": lambda: socket.socket().connect_ex(PEER),
    "send": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", PEER),
    "send, with flags": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", 0, PEER),
    "send in pieces": lambda: socket.socket(type=socket.SOCK_DGRAM).sendmsg([b""], [], 0, PEER),
    "look up, by the module of C": lambda: _socket.getaddrinfo(host=NAME, port=80),
    "reverse, by address and port": lambda: socket.getnameinfo(("192.0.2.1", 80), 0),
}
OWN: dict[str, Callable[[], Any]] = {
    "its name": socket.getfqdn,
    "the name of an address to listen on": lambda: socket.getfqdn("0.0.0.0"),  # noqa: S104 - not bound
    "loopback": lambda: socket.gethostbyaddr("127.0.0.1"),
    "an address": lambda: socket.getaddrinfo("127.0.0.1", 80),
}


async def connect_by_socket(loop: Loop) -> None:
    """A socket of the app's own."""
    with socket.socket() as own:
        own.settimeout(0)
        await loop.sock_connect(own, PEER)


ASYNC: dict[str, Callable[[Loop], Awaitable[Any]]] = {
    "connect": lambda loop: loop.create_connection(asyncio.Protocol, *PEER),
    "connect, named": lambda loop: loop.create_connection(asyncio.Protocol, host=NAME, port=80),
    "socket": connect_by_socket,
    "datagrams": lambda loop: loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=PEER),
    "pipe": lambda loop: loop.create_unix_connection(asyncio.Protocol, "/nowhere/database"),
    "look up": lambda loop: loop.getaddrinfo(NAME, 80),
    "reverse": lambda loop: loop.getnameinfo(("192.0.2.1", 80)),
}
LOOPS: dict[str, Callable[[Any], Any]] = {"asyncio": asyncio.run, "uvloop": uvloop.run}


@pytest.mark.parametrize("name", PLAIN)
def test_nothing_leaves(replay: testing.Replay, name: str) -> None:
    """Each is refused, and remembered."""
    with pytest.raises(OutboundRefused, match="--live"):
        PLAIN[name]()
    assert len(replay.outcome().refused) == 1


def test_a_name_that_a_replay_made_up_is_no_miss(replay: testing.Replay) -> None:
    """A client that outlives its replay still looks for a server made up for it: refused, not counted."""
    with pytest.raises(OutboundRefused):
        socket.getaddrinfo(f"secondary.{MADE_UP_DOMAIN}", 27017)
    assert replay.outcome().refused == []


@pytest.mark.parametrize("name", OWN)
def test_a_server_may_ask_who_it_is(replay: testing.Replay, name: str) -> None:
    """What is asked in order to listen is not refused."""
    OWN[name]()
    assert replay.outcome().refused == []


@pytest.mark.parametrize("run", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("name", ASYNC)
def test_nothing_leaves_by_a_loop(replay: testing.Replay, name: str, run: Callable[[Any], Any]) -> None:
    """Likewise by an event loop, also one that connects below Python."""

    async def main() -> None:
        with pytest.raises(OutboundRefused, match="--live"):
            await ASYNC[name](asyncio.get_running_loop())

    run(main())
    assert replay.outcome().refused


@pytest.mark.usefixtures("replay")
@pytest.mark.parametrize("name", ["connect", "connect_ex", "sendto", "sendmsg"])
def test_what_names_no_peer_fails_as_ever(name: str) -> None:
    """A call that lacks its arguments is told so by the interpreter."""
    with socket.socket(type=socket.SOCK_DGRAM) as own, pytest.raises(TypeError):
        getattr(own, name)()


def test_the_program_of_a_debugger_may_connect(replay: testing.Replay, tmp_path: Path) -> None:
    """Debugpy's adapter is a child that is set up as a replay: it reaches the program that it debugs."""
    connect = "import socket\nwith socket.socket() as own:\n    own.connect_ex(('127.0.0.1', 9))\n"
    exec(compile(connect, f"{tmp_path}/debugpy/adapter/__main__.py", "exec"), {"__name__": "__main__"})  # noqa: S102 - as Python runs a program
    with pytest.raises(OutboundRefused):
        exec(compile(connect, f"{tmp_path}/debugpy/app.py", "exec"), {"__name__": "__main__"})  # noqa: S102 - as above
    assert len(replay.outcome().refused) == 1


def test_after_a_replay_the_network_is_there(tmp_path: Path) -> None:
    """A replay that is over refuses nothing."""
    with testing.record(tmp_path):
        pass
    with testing.replay(tmp_path):
        pass
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        assert socket.getaddrinfo("localhost", 80)


@pytest.mark.usefixtures("replay")
def test_a_live_integration_may() -> None:
    """What a live integration does goes out: here, to a port where nobody listens."""

    async def main() -> None:
        live_io.set(True)
        with pytest.raises(ConnectionRefusedError) as raised:
            await asyncio.get_running_loop().create_connection(asyncio.Protocol, *PEER)
        assert not isinstance(raised.value, OutboundRefused)

    uvloop.run(main())


def test_what_is_not_seen_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that connects below Python is named in the report, once."""
    (tmp_path / "primp.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    with testing.record(tmp_path / "cassettes"):
        pass
    with testing.replay(tmp_path / "cassettes") as replay:
        assert isinstance(__import__("primp"), ModuleType)
    sys.modules.pop("primp")
    assert "not watched, because they connect below Python: primp" in replay.outcome().as_text()
    assert replay.outcome().as_json()["unseen"] == ["primp"]
