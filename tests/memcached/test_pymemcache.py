"""What programs see by pymemcache is the same recorded, and replayed with the server gone: values and types."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.instrumentation.pymemcache import PymemcacheInstrumentor
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheError, MemcacheUnexpectedCloseError

from tests.memcached.conftest import serving, serving_at
from tests.memcached.pymemcache_scenarios import PLAIN
from tests.support.same import identical
from timetracer_otel import ReplayMiss, testing

pytestmark = pytest.mark.system  # memcached is no Python package

NOWHERE = 1


@pytest.mark.parametrize("name", PLAIN)
def test_the_same_is_seen(name: str, tmp_path: Path) -> None:
    """Another port: what is seen is what was seen; nothing is missed, and nothing left unused."""
    with serving() as port, testing.record(tmp_path):
        recorded = PLAIN[name](port)
    with testing.replay(tmp_path) as replay:
        replayed = PLAIN[name](NOWHERE)
    assert identical(replayed, recorded), f"{replayed}\nand not\n{recorded}"
    outcome = replay.outcome()
    assert (outcome.misses, outcome.unused) == ([], [])


def test_recording_changes_nothing(tmp_path: Path) -> None:
    """What a recorded program sees, it sees without us; afterwards the client is as it was."""
    seam = Client._connect
    with serving() as port:
        without = PLAIN["pooled"](port)
    with serving() as port, testing.record(tmp_path):
        recorded = PLAIN["pooled"](port)
    assert [type(one) for one in without] == [type(one) for one in recorded]
    assert Client._connect is seam


def test_at_a_path(tmp_path: Path) -> None:
    """A server at a path in the file system, which is gone in a replay."""
    path = tmp_path / "socket"
    with serving_at(path), testing.record(tmp_path / "cassettes"):
        client = Client(str(path))
        client.set("a", "1")
        assert client.get("a") == b"1"
    with testing.replay(tmp_path / "cassettes"):
        client = Client(f"unix:{tmp_path / 'another'}")
        client.set("a", "1")
        assert client.get("a") == b"1"


def test_several_servers_with_other_names(tmp_path: Path) -> None:
    """Which keys go together to one server is as it was, though the servers are called otherwise."""
    keys = {f"key{number}": number for number in range(40)}

    def scenario(*ports: int) -> list[Any]:
        client = HashClient([("127.0.0.1", port) for port in ports])
        client.set_many(keys, noreply=False)
        return [client.get_many(keys), client.delete("key7", noreply=False), client.get("key7")]

    with serving() as one, serving() as two, testing.record(tmp_path):
        recorded = scenario(one, two)
    with testing.replay(tmp_path) as replay:
        assert scenario(1, 2) == recorded
    assert not replay.outcome().unused


def test_keys_of_a_set_come_in_any_order(memcached: int, tmp_path: Path) -> None:
    """They are asked for in another order in each process."""
    with testing.record(tmp_path):
        client = Client(("127.0.0.1", memcached))
        client.set_many({"a": 1, "b": 2})
        recorded = client.get_many(["a", "c", "b"])
    with testing.replay(tmp_path):
        client = Client(("127.0.0.1", NOWHERE))
        client.set_many({"a": 1, "b": 2})
        assert client.get_many(["b", "a", "c"]) == recorded == {"a": b"1", "b": b"2"}


def test_a_client_that_was_there_before(memcached: int, tmp_path: Path) -> None:
    """Its open connection is recorded, and in a replay it is asked for nothing."""
    client = Client(("127.0.0.1", memcached), default_noreply=False)
    client.set("a", "before")
    with testing.record(tmp_path):
        assert client.get("a") == b"before"
    client.set("a", "changed")
    with testing.replay(tmp_path):
        assert client.get("a") == b"before"
    assert client.get("a") == b"changed"
    client.close()


@pytest.mark.parametrize("kind", [Client, PooledClient, HashClient])
def test_a_miss_is_seen(kind: Callable[..., Any], memcached: int, tmp_path: Path) -> None:
    """It is no error of the library; a client that takes errors for "not cached" does not hide it."""
    servers: Any = [("127.0.0.1", memcached)] if kind is HashClient else ("127.0.0.1", memcached)
    with testing.record(tmp_path):
        kind(servers).get("a")
    with testing.replay(tmp_path) as replay:
        with pytest.raises(ReplayMiss, match="memcached get b"):
            kind(servers).get("b")
        assert kind(servers, ignore_exc=True).get("c") is None
        assert kind(servers, ignore_exc=True).get("a") is None
    assert len(replay.outcome().misses) == 2
    assert not issubclass(ReplayMiss, MemcacheError | OSError)


@pytest.mark.parametrize("ignores", [False, True], ids=["raises", "ignores"])
def test_a_server_that_is_not_there(ignores: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a case's value
    """The same exception with the same words; likewise where the client ignores it."""
    found: list[Any] = []
    for mode in (testing.record, testing.replay):
        with mode(tmp_path):
            client = Client(("127.0.0.1", NOWHERE), ignore_exc=ignores)
            try:
                found.append(client.get("a"))
            except ConnectionRefusedError as error:
                found.append(str(error))
    assert found[0] == found[1]
    assert (found[0] is None) == ignores


def answering(listener: socket.socket, answer: bytes) -> None:
    """Answer one question of one client."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(answer)


@pytest.mark.parametrize(
    "answer", [b"", b"VALUE a 0 5\r\nxy", b"SERVER_ERROR out of memory\r\n", b"CLIENT_ERROR bad\r\n"]
)
def test_a_server_that_fails(answer: bytes, tmp_path: Path) -> None:
    """It closes the connection, before its answer or within it, or says what is wrong: the same exception."""
    found: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answering, args=(listener, answer))
        thread.start()
        for mode, port in ((testing.record, listener.getsockname()[1]), (testing.replay, NOWHERE)):
            with mode(tmp_path):
                client = Client(("127.0.0.1", port))
                with pytest.raises((MemcacheError, MemcacheUnexpectedCloseError)) as caught:
                    client.get("a")
                found.append((type(caught.value), str(caught.value)))
                client.close()
        thread.join()
    assert found[0] == found[1]


def test_a_client_that_waits_no_longer(tmp_path: Path) -> None:
    """Its timeout is recorded, and is over at once in a replay."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for mode, timeout in ((testing.record, 0.1), (testing.replay, 600)):
            with mode(tmp_path):
                client = Client(("127.0.0.1", listener.getsockname()[1]), timeout=timeout)
                with pytest.raises(TimeoutError, match="timed out"):
                    client.get("a")


def test_spans_of_the_instrumentor(memcached: int, tmp_path: Path) -> None:
    """A call is on its span where it is on; no second one is made."""
    with testing.record(tmp_path):
        PymemcacheInstrumentor().instrument()
        try:
            client = Client(("127.0.0.1", memcached))
            client.set("a", "1")
            client.get_many(["a"])
        finally:
            PymemcacheInstrumentor().uninstrument()
    with testing.replay(tmp_path) as replay:
        client = Client(("127.0.0.1", NOWHERE))
        client.set("a", "1")
        assert client.get_many(["a"]) == {"a": b"1"}
    assert not replay.outcome().unused
