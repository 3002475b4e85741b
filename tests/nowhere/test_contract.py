"""A made-up protocol recorded from its real server, and replayed with that gone: by sockets, streams and protocols."""

from __future__ import annotations

import asyncio
import inspect
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from tests.nowhere.parley import Address, AsyncClient, Client, ProtocolClient, serving
from timetracer_otel import ReplayMiss, spans, testing
from timetracer_otel.errors import CassetteError
from timetracer_otel.families.nowhere import Wait
from timetracer_otel.families.nowhere.recorded import replies

NOWHERE = ("127.0.0.1", 1)


AUTHORITY = trustme.CA()


@pytest.fixture
def trust() -> ssl.SSLContext:
    """What a client trusts."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


@pytest.fixture
def server() -> AbstractContextManager[Address]:
    """Runs the real server, and gives its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    return serving(context)


@pytest.fixture(autouse=True)
def declared(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The protocol's integration, as a package that is installed brings it."""
    info = tmp_path_factory.mktemp("site") / "parley-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parley\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[timetracer_otel.integrations]\nparley = tests.nowhere.seam\n")
    monkeypatch.syspath_prepend(str(info.parent))


class Awaiting:
    """Lets the blocking driver be used like the others."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found

        async def call(*args: Any) -> Any:
            told = found(*args)
            return await told if inspect.isawaitable(told) else told

        return call


async def opened(kind: Callable[..., Any], address: Address, trust: ssl.SSLContext | None = None) -> Awaiting:
    """Give a connected client."""
    if kind is Client:
        return Awaiting(Client(address, trust))
    client = kind()
    await client.start(address, trust)
    return Awaiting(client)


DRIVERS = pytest.mark.parametrize(
    ("kind", "run"),
    [
        pytest.param(Client, asyncio.run, id="socket"),
        pytest.param(AsyncClient, asyncio.run, id="streams"),
        pytest.param(AsyncClient, uvloop.run, id="streams-uvloop"),
        pytest.param(ProtocolClient, asyncio.run, id="protocol"),
        pytest.param(ProtocolClient, uvloop.run, id="protocol-uvloop"),
    ],
)


Server = AbstractContextManager[Address]


def both(run: Any, scenario: Any, server: Server, folder: Path) -> tuple[Any, Any, testing.Replay]:
    """What a scenario gives live while it is recorded, and in the replay of that with the server gone."""
    with server as address, testing.record(folder):
        live = run(scenario(address))
    with testing.replay(folder) as replay:
        return live, run(scenario(NOWHERE)), replay


@DRIVERS
def test_pipelines_and_large_replies(kind: Any, run: Any, server: Server, tmp_path: Path) -> None:
    """The server greets first; several replies to one request come one by one; nothing is missed or left."""

    async def scenario(address: Address) -> Any:
        client = await opened(kind, address)
        told = [client.greeting]
        told += await client.ask("SET a 1", "GET a", "GET none", "BLOB 3000000")
        told += await client.ask("GET a")
        told += await client.ask("SET a 2", "BLOB 0", "GET a")
        await client.close()
        return told

    live, replayed, replay = both(run, scenario, server, tmp_path)
    assert live[:4] == ["HI parley 1", "OK", "1", "NONE"]
    assert live[5:] == ["1", "OK", "", "2"]
    assert replayed == live
    outcome = replay.outcome()
    assert (outcome.answered, outcome.misses) == ({"exact": 3}, [])


@DRIVERS
def test_pushes_keep_their_place(kind: Any, run: Any, server: Server, tmp_path: Path) -> None:
    """A message comes when all is asked that was asked before it, also by another connection; never sooner."""

    async def scenario(address: Address) -> Any:
        listener, speaker = await opened(kind, address), await opened(kind, address)
        told = [await listener.ask("SUB news"), await listener.message(0.05)]
        told += [await speaker.ask("SAY news one"), await listener.message(5)]
        told += [await listener.ask("GET a"), await listener.message(0.05)]
        told += [await speaker.ask("SAY news two"), await listener.message(5)]
        told += [await speaker.ask("SAY news three"), await listener.message(5), await listener.message(0.05)]
        await listener.close()
        await speaker.close()
        return told

    live, replayed, replay = both(run, scenario, server, tmp_path)
    assert live[1:6] == [None, ["TOLD 1"], "news one", ["NONE"], None]
    assert live[6:] == [["TOLD 1"], "news two", ["TOLD 1"], "news three", None]
    assert replayed == live
    assert replay.outcome().misses == []


@DRIVERS
def test_a_blocking_pop_waits_only_at_the_recorded_pace(
    kind: Any, run: Any, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default it ends at once, as it ended; with the recorded pace it takes as long."""
    waits: list[float] = []

    def watched(*args: Any) -> Iterator[Any]:
        for reply in replies(*args):
            waits.extend([reply.seconds or 0.0] if isinstance(reply, Wait) else [])
            yield reply

    monkeypatch.setattr("tests.nowhere.seam.replies", watched)

    async def scenario(address: Address) -> Any:
        client, other = await opened(kind, address), await opened(kind, address)
        told = [await client.ask("POP jobs 300")]
        told += [await other.ask("PUSH jobs first"), await client.ask("POP jobs 300")]
        await client.close()
        await other.close()
        return told

    live, replayed, _ = both(run, scenario, server, tmp_path)
    assert replayed == live == [["NIL"], ["OK"], ["first"]]
    assert waits == []
    before = time.perf_counter_ns()
    with testing.replay(tmp_path, pace="recorded", nondeterminism="none"):
        assert run(scenario(NOWHERE)) == live
    assert max(waits) >= 0.29
    assert time.perf_counter_ns() - before >= 0.29e9


@DRIVERS
def test_an_upgrade_to_tls_in_band(kind: Any, run: Any, server: Server, trust: ssl.SSLContext, tmp_path: Path) -> None:
    """The driver goes on by the connection that the upgrade gives it."""

    async def scenario(address: Address) -> Any:
        client = await opened(kind, address, trust)
        told = await client.ask("SET a 1", "GET a")
        await client.close()
        return told

    live, replayed, _ = both(run, scenario, server, tmp_path)
    assert replayed == live == ["OK", "1"]


@DRIVERS
def test_ends(kind: Any, run: Any, server: Server, tmp_path: Path) -> None:
    """A connection that the server closed, or broke within a pipeline, ends as it did, with the same error."""

    async def scenario(address: Address) -> Any:
        told: list[Any] = []
        for last in ("BYE", "DROP"):
            client = await opened(kind, address)
            told += [await client.ask("GET a")]
            try:
                told += [await client.ask("GET a", last)]
                told += [await client.message(5)]
            except Exception as error:  # noqa: BLE001 - compared
                told += [(type(error), error.args)]
            await client.close()
        return told

    live, replayed, replay = both(run, scenario, server, tmp_path)
    assert live[:2] == [["NONE"], ["NONE", "OK"]]
    assert live[2] == "", "the end"
    assert issubclass(live[4][0], ConnectionError)
    assert replayed == live
    assert replay.outcome().misses == []


@DRIVERS
def test_what_was_not_recorded_is_a_miss(kind: Any, run: Any, server: Server, tmp_path: Path) -> None:
    """It is raised where the app asks, and nothing else comes."""

    async def scenario(address: Address, *asked: str) -> Any:
        client = await opened(kind, address)
        told = [await client.ask(one) for one in ("GET a", *asked)]
        await client.close()
        return told

    with server as address, testing.record(tmp_path):
        run(scenario(address))
    with testing.replay(tmp_path) as replay:
        with pytest.raises(ReplayMiss, match="GET b"):
            run(scenario(NOWHERE, "GET b"))
        assert len(replay.outcome().misses) == 1


def test_several_replies_are_cut_where_they_were() -> None:
    """A damaged list of their lengths is said, and not guessed around."""
    whole = spans.encode_binary(spans.RESPONSE, b"abc")
    assert spans.decode_replies({**whole, **spans.encode_replies([b"a", b"", b"bc"])}) == [b"a", b"", b"bc"]
    assert spans.decode_replies(whole) == [b"abc"]
    assert spans.decode_replies({}) == []
    for damaged in ("[1]", "[4,-1]", '["a"]', "{", "[true,2]"):
        with pytest.raises(CassetteError, match="record it again"):
            spans.decode_replies({**whole, spans.REPLIES: damaged})
