"""A server for each test, and recording and replaying of one function."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.http.server import ShapeServer
from timetracer_otel import instrumenting, testing

Run = Callable[[Callable[[], Any]], tuple[Any, Any]]


@pytest.fixture(autouse=True)
def spans_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """No standard instrumentor of a client, but where a test turns one on."""
    monkeypatch.setattr(instrumenting, "instrumentors", lambda: [instrumenting.THREADS])


@pytest.fixture
def server() -> Iterator[ShapeServer]:
    """A server that is up."""
    with ShapeServer() as running:
        yield running


def observed(function: Callable[[], Any]) -> Any:
    """What a function gives, or the class and message of what it raises."""
    try:
        result = function()
        return asyncio.run(_awaited(result)) if inspect.isawaitable(result) else result
    except Exception as error:  # noqa: BLE001 - what is raised is what is compared
        return type(error), str(error)


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


@pytest.fixture
def both(server: ShapeServer, tmp_path: Path) -> Run:
    """Run a function recorded, stop the server, run it in replay; nothing may be missed, refused or left over."""

    def run(function: Callable[[], Any]) -> tuple[Any, Any]:
        with testing.record(tmp_path / "cassettes"):
            recorded = observed(function)
        server.stop()
        with testing.replay(tmp_path / "cassettes") as replay:
            replayed = observed(function)
        outcome = replay.outcome()
        assert [miss["message"] for miss in outcome.misses] == []
        assert outcome.refused == []
        assert sum(outcome.answered.values()) > 0
        return recorded, replayed

    return run
