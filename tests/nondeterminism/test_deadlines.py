"""Deadlines that code made from a recorded clock pass when they should, although the loop's clock is another."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop

from timetracer_otel import testing
from timetracer_otel.nondeterminism import Given
from timetracer_otel.nondeterminism.deadlines import live_moment
from timetracer_otel.nondeterminism.recorded import Cursor

LOOPS = {"asyncio": asyncio.run, "uvloop": uvloop.run}


@pytest.mark.parametrize("recorded", [100.0, 1e6])
def test_a_deadline_of_the_recorded_clock_is_as_far_away(recorded: float) -> None:
    """Whether the machine was started before or after the recording."""
    assert live_moment(recorded + 5, recorded, 5000.0, 5001.0) == 5005.0


def test_a_deadline_of_the_live_clock_stays() -> None:
    """Also one that has just passed, and one that is far."""
    for when in (5001.0, 5000.99, 5031.0, 9000.0):
        assert live_moment(when, 100.0, 5000.0, 5001.0) == when
    assert live_moment(5002.0, 1e6, 5000.0, 5001.0) == 5002.0


@pytest.mark.parametrize("run", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("apart", [-1000.0, 1e7])
def test_waits_end_as_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Any, apart: float) -> None:
    """What would be over at once times out, what is in time does not, and nothing hangs."""

    async def wait() -> list[str]:
        said = []
        for seconds, sleeps in ((30.0, 0.01), (0.05, 30.0)):
            try:
                async with asyncio.timeout_at(time.monotonic() + seconds):
                    await asyncio.sleep(sleeps)
                said.append("done")
            except TimeoutError:
                said.append("timed out")
        fired = asyncio.Event()
        asyncio.get_running_loop().call_at(time.monotonic() + 0.02, fired.set)
        async with asyncio.timeout(30):
            await fired.wait()
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + 30):
            await asyncio.sleep(0)
        return said

    with testing.record(tmp_path):
        recorded = run(wait())
    take = Given.take

    def take_apart(self: Given, cursor: Cursor, branch: str) -> Any:
        value = take(self, cursor, branch)
        return value + apart if isinstance(value, float) else value

    monkeypatch.setattr(Given, "take", take_apart)
    with testing.replay(tmp_path):
        assert run(wait()) == recorded == ["done", "timed out"]
