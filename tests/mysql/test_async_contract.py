"""What programs do with aiomysql and asyncmy, recorded, and replayed with the server gone: same values and types."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import aiomysql
import asyncmy
import pytest
import uvloop

from tests.mysql.async_scenarios import ONLY_AIOMYSQL, SCENARIOS, Scenario
from tests.support.mysql import ELSEWHERE, MysqlServer
from tests.support.recordings import assert_nothing_changes, recorded_each
from timetracer_otel import testing
from timetracer_otel.errors import ReplayMiss

pytestmark = pytest.mark.system

LOOPS: dict[str, Callable[..., Any]] = {"asyncio": asyncio.run, "uvloop": uvloop.run}


DRIVERS: dict[str, Any] = {"aiomysql": aiomysql, "asyncmy": asyncmy}


def run(driver: Any, scenario: Scenario, loop: str, address: dict[str, Any]) -> Any:
    """Run a scenario to its end."""
    return LOOPS[loop](_awaited(driver, scenario, address))


async def _awaited(driver: Any, scenario: Scenario, address: dict[str, Any]) -> Any:
    return await asyncio.wait_for(scenario(driver, address), 60)


def _programs(name: str) -> Iterator[tuple[str, Callable[[dict[str, Any]], Any]]]:
    """Each scenario with a driver, some of them on another loop too."""
    for title, scenario in SCENARIOS.items():
        if name == "aiomysql" or title not in ONLY_AIOMYSQL:
            yield f"{name} {title}", partial(run, DRIVERS[name], scenario, "asyncio")
        if title in {"cursors", "pooled", "lost"}:
            yield f"{name} {title} on uvloop", partial(run, DRIVERS[name], scenario, "uvloop")


PROGRAMS = dict(chain.from_iterable(map(_programs, DRIVERS)))


@pytest.fixture(scope="module")
def recorded(installed: MysqlServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """What each scenario saw while it was recorded, and the recording. The server is gone."""
    return recorded_each(
        installed, installed.address, PROGRAMS, lambda name: tmp_path_factory.mktemp(name.replace(" ", "_"))
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_changes(name: str, recorded: dict[str, tuple[Any, Path]]) -> None:
    """Replayed with another host, port, user and database a program sees what it saw."""
    seams = (aiomysql.connection.Connection._connect, asyncmy.connection.Connection.connect)
    assert_nothing_changes(PROGRAMS[name], ELSEWHERE, recorded[name])
    assert (aiomysql.connection.Connection._connect, asyncmy.connection.Connection.connect) == seams


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
