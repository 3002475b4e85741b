"""What every client must do alike: the same result, or the same exception, with the server gone."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.http.clients import CLIENTS
from tests.http.conftest import Run
from tests.http.server import ShapeServer
from tests.http.shapes import SHAPES, Shape

Client = Callable[[str, Shape], Any]
EVERY_CLIENT = [
    # Tornado's have tests of their own, and here a fifth of the time.
    pytest.param(client, id=name, marks=[pytest.mark.system] if name.startswith("tornado") else [])
    for name, client in CLIENTS.items()
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name.replace(" ", "-"))
@pytest.mark.parametrize("client", EVERY_CLIENT)
def test_exchange(client: Client, shape: Shape, server: ShapeServer, both: Run) -> None:
    """Status, headers, bytes, history or the exception are as recorded."""
    recorded, replayed = both(lambda: client(server.url, shape))
    assert replayed == recorded


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS.keys())
def test_refused_connection(client: Client, server: ShapeServer, both: Run) -> None:
    """A connection that nobody accepts fails the same way."""
    server.stop()
    recorded, replayed = both(lambda: client(server.url, Shape("refused", "/json")))
    assert isinstance(recorded[0], type)
    assert replayed == recorded


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS.keys())
def test_failed_upload(client: Client, server: ShapeServer, both: Run) -> None:
    """A request with a body that could not be sent fails the same way."""
    server.stop()
    recorded, replayed = both(lambda: client(server.url, Shape("refused", "/echo", "POST", {}, b"body")))
    assert isinstance(recorded[0], type)
    assert replayed == recorded


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS.keys())
def test_no_tls(client: Client, server: ShapeServer, both: Run) -> None:
    """A peer that does not speak TLS fails the same way."""
    url = server.url.replace("http:", "https:")
    recorded, replayed = both(lambda: client(url, Shape("tls", "/json")))
    assert isinstance(recorded[0], type)
    assert replayed == recorded


def test_the_server_is_really_gone(server: ShapeServer) -> None:
    """After stop() nothing accepts, so a replay that connects could not go unnoticed."""
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))
