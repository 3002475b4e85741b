"""What programs see of Redis is the same recorded, and replayed with the server gone: values and types."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
import uvloop
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.redis.conftest import serving
from tests.redis.scenarios import PLAIN, run, run_later, seen
from tests.support.same import identical
from timetracer_otel import ReplayMiss, testing
from timetracer_otel.cassette.model import Span

pytestmark = pytest.mark.system  # redis-server is no Python package

OPTIONS = {
    "RESP2": {},
    "RESP3": {"protocol": 3},
    "RESP3 decoded": {"protocol": 3, "decode_responses": True},
}
options = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
NOWHERE = 1
ONCE = Retry(NoBackoff(), 0)


def recorded_and_replayed(scenario: Callable[..., Any], folder: Path, **more: Any) -> tuple[Any, Any]:
    """What a scenario sees while it is recorded, and in a replay; nothing is missed and nothing left unused."""
    with serving(folder) as port, testing.record(folder / "cassettes"):
        recorded = scenario(port, **more)
    with testing.replay(folder / "cassettes") as replay:
        replayed = scenario(NOWHERE, db=3, **more)
    outcome = replay.outcome()
    assert (outcome.misses, outcome.unused) == ([], [])
    return recorded, replayed


@options
@pytest.mark.parametrize("name", PLAIN)
def test_plain_connections(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    """Another port and another database: what is seen is what was seen."""
    recorded, replayed = recorded_and_replayed(lambda port, **more: run(PLAIN[name], port, **more), tmp_path, **options)
    assert identical(replayed, recorded), f"{replayed}\nand not\n{recorded}"


@options
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_connections_of_asyncio(loop: Callable[[], Any], options: dict[str, Any], tmp_path: Path) -> None:
    """The same for the driver of asyncio, on both loops."""

    def scenario(port: int, **more: Any) -> Any:
        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(run_later(port, **more))

    recorded, replayed = recorded_and_replayed(scenario, tmp_path, **options)
    assert identical(replayed, recorded), f"{replayed}\nand not\n{recorded}"


def test_recording_changes_nothing(tmp_path: Path) -> None:
    """What a recorded program sees, it sees without us; afterwards the driver is as it was."""
    seam = redis.connection.Connection._connect
    with serving(tmp_path) as port:
        without = run(PLAIN["listening"], port)
        with testing.record(tmp_path / "cassettes"):
            recorded = run(PLAIN["listening"], port)
    assert [type(one) for one in without] == [type(one) for one in recorded]
    assert redis.connection.Connection._connect is seam


def test_a_client_that_was_there_before(redis_server: int, tmp_path: Path) -> None:
    """Its open connection is recorded, and in a replay it is asked for nothing."""
    with redis.Redis(port=redis_server) as client:
        client.set("a", "before")
        with testing.record(tmp_path / "cassettes"):
            assert client.get("a") == b"before"
        client.set("a", "changed")
        with testing.replay(tmp_path / "cassettes"):
            assert client.get("a") == b"before"
        assert client.get("a") == b"changed"


def test_a_command_that_was_not_recorded_is_a_miss(redis_server: int, tmp_path: Path) -> None:
    """It is no error of Redis, and is counted though the app swallows it."""
    with testing.record(tmp_path / "cassettes"), redis.Redis(port=redis_server) as client:
        client.get("a")
    with testing.replay(tmp_path / "cassettes") as replay, redis.Redis(port=NOWHERE) as client:
        with pytest.raises(ReplayMiss, match="redis GET b"):
            client.get("b")
        assert client.get("a") is None
    assert len(replay.outcome().misses) == 1


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """The same exception with the same words, as often as the driver tries."""
    words: list[str] = []
    for mode in (testing.record, testing.replay):
        with mode(tmp_path / "cassettes"), redis.Redis(port=NOWHERE, retry=ONCE) as client:
            with pytest.raises(redis.ConnectionError) as caught:
                client.get("a")
            words.append(str(caught.value))
    assert words[0] == words[1]


def test_a_server_that_closes(tmp_path: Path) -> None:
    """It answers the greeting, and closes the connection when it is asked."""

    def serve(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _address = listener.accept()
            with connection:
                while data := connection.recv(65536):
                    if b"GET" in data:
                        break
                    connection.sendall(b"+OK\r\n" * data.count(b"*"))

    words: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        for mode, port in ((testing.record, listener.getsockname()[1]), (testing.replay, NOWHERE)):
            with mode(tmp_path / "cassettes"), redis.Redis(port=port, retry=ONCE, protocol=2) as client:
                with pytest.raises(redis.ConnectionError) as caught:
                    client.get("a")
                words.append(str(caught.value))
    assert words[0] == words[1]


def test_a_driver_that_waits_no_longer(redis_server: int, tmp_path: Path) -> None:
    """Its timeout is recorded, and is over at once in a replay."""
    for mode, port in ((testing.record, redis_server), (testing.replay, NOWHERE)):
        client = redis.Redis(port=port, socket_timeout=0.2, retry=ONCE)
        with mode(tmp_path / "cassettes"), client, pytest.raises(redis.TimeoutError):
            client.blpop("nothing", 5)


def test_a_server_that_goes_away_and_comes_again(tmp_path: Path) -> None:
    """A pool's connection is lost in the middle, and a subscriber's: the driver's errors come again in a replay."""

    def scenario(port: int, stop: Callable[[], object], start: Callable[[], object]) -> list[Any]:
        with redis.Redis(port=port, retry=ONCE, socket_timeout=60) as client, client.pubsub() as heard:
            heard.subscribe("news")
            found = [seen(client.set, "a", 1), seen(client.ping), heard.get_message(timeout=60)]
            stop()
            found += [seen(client.get, "a")[0], seen(client.ping)[0], seen(heard.get_message, timeout=60)[0]]
            start()
            found += [heard.get_message(timeout=60), client.publish("news", "x"), heard.get_message(timeout=60)]
            return [*found, seen(client.get, "a"), seen(client.ping)]

    with ExitStack() as running, ExitStack() as first:
        port = first.enter_context(serving(tmp_path))
        with testing.record(tmp_path / "cassettes"):
            recorded = scenario(port, first.close, lambda: running.enter_context(serving(tmp_path, port=port)))
    with testing.replay(tmp_path / "cassettes") as replay:
        assert scenario(NOWHERE, lambda: None, lambda: None) == recorded
    told = [one and one["type"] for one in (recorded[2], recorded[6], recorded[8])]
    assert (recorded[3:6], told) == ([redis.ConnectionError] * 3, ["subscribe", "subscribe", "message"])
    assert (replay.outcome().misses, replay.outcome().unused) == ([], [])


def test_a_driver_of_asyncio_that_waits_no_longer(redis_server: int, tmp_path: Path) -> None:
    """Its own timer ends the waiting; in a replay nothing is waited for, so that a timer of hours is over too."""

    async def wait(port: int, seconds: float) -> None:
        async with redis.asyncio.Redis(port=port, socket_timeout=seconds, retry=AsyncRetry(NoBackoff(), 0)) as client:
            with pytest.raises(redis.TimeoutError):
                await client.blpop("nothing", 60)

    for mode, port, seconds in ((testing.record, redis_server, 0.2), (testing.replay, NOWHERE, 3600)):
        with mode(tmp_path / "cassettes"):
            asyncio.run(wait(port, seconds))


def test_a_server_that_refuses_a_password(redis_server: int, tmp_path: Path) -> None:
    """It refuses in a replay too, whatever password is sent; other connections are set up as ever."""
    for mode, port in ((testing.record, redis_server), (testing.replay, NOWHERE)):
        with mode(tmp_path / "cassettes"), redis.Redis(port=port) as client:
            assert client.get("a") is None
            refused = redis.Redis(port=port, username="ada", password=f"wrong in {mode.__name__}")
            with refused, pytest.raises(redis.AuthenticationError, match="invalid username-password pair"):
                refused.get("a")
            assert client.get("b") is None


def test_passwords_are_in_no_call(redis_server: int, tmp_path: Path) -> None:
    """Neither those of a log-in nor those that are set."""
    with testing.record(tmp_path / "cassettes"):
        with redis.Redis(port=redis_server) as client:
            client.acl_setuser("ada", enabled=True, passwords=["+correct-horse"], commands=["+@all"], keys=["*"])
        with redis.Redis(port=redis_server, username="ada", password="correct-horse") as client:
            client.set("a", 1)
    written = b"".join(path.read_bytes() for path in (tmp_path / "cassettes").rglob("*.jsonl"))
    assert b"correct-horse" not in written
    assert b"SETUSER" in written


def test_threads_of_a_session_share_its_answers(tmp_path: Path) -> None:
    """Each counts with a key of its own, all at once, with a pool that has another size then and now."""

    def scenario(port: int, **_: Any) -> list[Any]:
        with redis.Redis(port=port) as client, ThreadPoolExecutor(16) as pool:
            return list(pool.map(lambda number: [client.incr(f"counter {number % 8}") for _ in range(5)], range(8)))

    recorded, replayed = recorded_and_replayed(scenario, tmp_path)
    assert replayed == recorded


MESSAGES = 600


def listened(port: int, **_: Any) -> tuple[list[Any], int]:
    """A subscriber's messages, one of them large; and how many recorded ones were in memory at once."""
    with redis.Redis(port=port) as client, redis.Redis(port=port) as other:
        heard = client.pubsub()
        heard.subscribe("news")
        heard.get_message(timeout=5)
        for number in range(MESSAGES):
            other.publish("news", "x" * 2_000_000 if number == MESSAGES // 2 else f"message {number}")
        found: list[Any] = []
        held = 0
        for number, message in enumerate(heard.listen(), 1):
            found.append(message)
            if number % (MESSAGES // 3) == 0:
                held = max(held, sum(isinstance(one, Span) and one.name == "message" for one in gc.get_objects()))
            if number == MESSAGES:
                return found, held
    raise AssertionError("the subscription ended")


def test_a_listener_does_not_hold_what_it_was_told(tmp_path: Path) -> None:
    """Of very many messages a replay has few in memory; all come in their order."""
    (recorded, _), (replayed, held) = recorded_and_replayed(listened, tmp_path)
    assert identical(replayed, recorded)
    assert 0 < held < MESSAGES // 2


def test_a_listener_that_leaves_earlier(tmp_path: Path) -> None:
    """What had come counts as told, read or not: who listens cannot know how much of it there is."""
    with serving(tmp_path) as port, testing.record(tmp_path / "cassettes"):
        listened(port)
    with testing.replay(tmp_path / "cassettes") as replay, redis.Redis(port=NOWHERE) as client:
        heard = client.pubsub()
        heard.subscribe("news")
        heard.get_message(timeout=5)
        for number in range(MESSAGES):
            client.publish("news", "x" * 2_000_000 if number == MESSAGES // 2 else f"message {number}")
        assert heard.get_message(timeout=5)
        heard.close()
    assert (replay.outcome().misses, replay.outcome().answered) == ([], {"exact": 2 * MESSAGES + 1})


def waited_for(heard: Any) -> list[Any]:
    """What a subscriber sees that looks again and again until there is something."""
    found: list[Any] = []
    while not found or found[-1] is None:
        found.append(heard.get_message())
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("protocol", [2, 3])
def test_what_is_confirmed_late(protocol: int, tmp_path: Path) -> None:
    """Who looked in vain before that looks in vain as often, and then sees it and what comes behind it in order."""

    def scenario(port: int, **options: Any) -> list[Any]:
        with redis.Redis(port=port, **options) as client:
            heard = client.pubsub()
            heard.subscribe("first")
            found = [heard.get_message(timeout=5)]
            for do in (heard.unsubscribe, heard.subscribe):
                client.execute_command("CLIENT", "PAUSE", 300, "ALL")
                do("first")
                found += waited_for(heard)
            client.execute_command("CLIENT", "PAUSE", 300, "ALL")
            heard.psubscribe("n*")
            heard.subscribe("news")
            heard.unsubscribe("first")
            heard.ping("x")
            found += waited_for(heard) + [heard.get_message(timeout=5) for _ in range(3)]
            client.publish("news", "1")
            return [*found, *(heard.get_message(timeout=5) for _ in range(2))]

    recorded, replayed = recorded_and_replayed(scenario, tmp_path, protocol=protocol)
    assert recorded.count(None) > 3
    assert identical(replayed, recorded)


def test_a_subscriber_whose_connection_another_task_closes(tmp_path: Path) -> None:
    """It connects anew behind that task: connecting takes a turn of the loop in a replay, too."""

    async def scenario(port: int) -> list[Any]:
        async with redis.asyncio.Redis(port=port) as client, client.pubsub() as heard:
            await heard.subscribe("news")
            found = [await heard.get_message(timeout=5)]
            listening = asyncio.create_task(heard.get_message(timeout=None))
            await asyncio.sleep(0.05)
            assert heard.connection is not None
            await heard.connection.disconnect()
            return [*found, await asyncio.wait_for(listening, 5)]

    recorded, replayed = recorded_and_replayed(lambda port, **_: asyncio.run(scenario(port)), tmp_path)
    assert [one["type"] for one in recorded] == ["subscribe", "subscribe"]
    assert identical(replayed, recorded)
