"""Real SDKs against local servers: record, stop the server, replay. None of them is named in our code."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sdks.fakes import FakeServer
from timetracer_otel import testing

Run = Callable[[Callable[[], Any], Callable[[], None]], Any]


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    """A server that answers as the services do; a test registers the routes."""
    with FakeServer() as server:
        yield server


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a function recorded, stop its server, run it in replay: the same result, nothing missed or refused."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "*",
    }.items():
        monkeypatch.setenv(name, value)

    def run(function: Callable[[], Any], stop: Callable[[], None]) -> Any:
        with testing.record(tmp_path):
            recorded = _result(function)
        stop()
        with testing.replay(tmp_path) as replay:
            replayed = _result(function)
        outcome = replay.outcome()
        assert [miss["message"] for miss in outcome.misses] == []
        assert outcome.refused == []
        assert replayed == recorded
        return recorded

    return run


def _result(function: Callable[[], Any]) -> Any:
    result = function()
    return asyncio.run(_awaited(result)) if inspect.isawaitable(result) else result


async def _awaited(result: Any) -> Any:
    return await result
