"""What programs do with asyncmy is the same recorded, and replayed with the server gone: values and types."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import asyncmy
import pytest
import uvloop

from tests.mysql.asyncmy_scenarios import SCENARIOS, Scenario
from tests.support.mysql import ELSEWHERE, MysqlServer
from tests.support.recordings import recorded_each
from tests.support.same import same
from timetracer_otel import testing
from timetracer_otel.errors import ReplayMiss

pytestmark = pytest.mark.system

LOOPS: dict[str, Callable[..., Any]] = {"asyncio": asyncio.run, "uvloop": uvloop.run}


def run(scenario: Scenario, loop: str, address: dict[str, Any]) -> Any:
    """Run a scenario to its end."""
    return LOOPS[loop](_awaited(scenario, address))


async def _awaited(scenario: Scenario, address: dict[str, Any]) -> Any:
    return await asyncio.wait_for(scenario(address), 60)


PROGRAMS = {name: partial(run, one, "asyncio") for name, one in SCENARIOS.items()} | {
    f"{name} on uvloop": partial(run, SCENARIOS[name], "uvloop") for name in ("cursors", "pooled", "lost")
}


@pytest.fixture(scope="module")
def recorded(installed: MysqlServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """What each scenario saw while it was recorded, and the recording. The server is gone."""
    return recorded_each(
        installed, installed.address, PROGRAMS, lambda name: tmp_path_factory.mktemp(name.replace(" ", "_"))
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_changes(name: str, recorded: dict[str, tuple[Any, Path]]) -> None:
    """Replayed with another host, port, user and database a program sees what it saw."""
    then, folder = recorded[name]
    connects = asyncmy.connection.Connection.connect
    with testing.replay(folder) as replay:
        now = PROGRAMS[name](ELSEWHERE)
    outcome = replay.outcome()
    assert same(now, then), f"{now}\nand not\n{then}"
    assert (outcome.misses, outcome.unused, outcome.refused) == ([], [], [])
    assert asyncmy.connection.Connection.connect is connects


def test_prepared_statements_are_refused(installed: MysqlServer, tmp_path: Path) -> None:
    """They work while they are not recorded, which is said once; a replay says so too, and invents nothing."""

    async def ask(address: dict[str, Any]) -> Any:
        async with asyncmy.connect(**address, stmt_cache_size=8) as connection, connection.cursor() as cursor:
            await cursor.execute("SELECT %s + 1", (5,))
            return await cursor.fetchall()

    installed.start()
    try:
        with testing.record(tmp_path):
            assert asyncio.run(ask(installed.address)) == ((6,),)
    finally:
        installed.stop()
    with testing.replay(tmp_path) as replay, pytest.raises(ReplayMiss, match="prepared statements are not recorded"):
        asyncio.run(ask(ELSEWHERE))
    assert len(replay.outcome().misses) == 1
