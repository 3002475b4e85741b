"""What programs do with asyncpg is the same recorded, and replayed with the server gone: values and types."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.postgres.asyncpg_scenarios import SCENARIOS, Scenario, refused_midway
from tests.support.postgres import PostgresServer
from tests.support.recordings import assert_nothing_changes, recorded_each
from timetracer_otel import testing

pytestmark = pytest.mark.system

ELSEWHERE = "postgresql://somebody:else@db.nowhere.example:6543/warehouse"


def run(scenario: Scenario, dsn: str) -> Any:
    """Run a scenario to its end."""
    return asyncio.run(asyncio.wait_for(_awaited(scenario, dsn), 60))


async def _awaited(scenario: Scenario, dsn: str) -> Any:
    return await scenario(dsn)


@pytest.fixture(scope="module")
def recorded(installed: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """What each scenario saw while it was recorded, and the recording. The server is gone."""
    programs = {name: partial(run, scenario) for name, scenario in SCENARIOS.items()}
    return recorded_each(installed, installed.dsn, programs, tmp_path_factory.mktemp)


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_changes(name: str, recorded: dict[str, tuple[Any, Path]]) -> None:
    """Replayed with another host, port, user and database a program sees what it saw."""
    protocol = asyncpg.protocol.Protocol
    assert_nothing_changes(partial(run, SCENARIOS[name]), ELSEWHERE, recorded[name])
    assert asyncpg.protocol.Protocol is protocol


def test_rows_that_the_server_refused_are_those_that_were_recorded(recorded: dict[str, tuple[Any, Path]]) -> None:
    """Another row among them is a miss, which closes the connection."""
    with testing.replay(recorded["refused_midway"][1]) as replay, pytest.raises(asyncpg.InterfaceError):
        run(partial(refused_midway, first="other"), ELSEWHERE)
    assert len(replay.outcome().misses) == 1
