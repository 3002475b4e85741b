"""Whatever a program asks, in whatever order, is the same recorded and replayed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.postgres.sequences import DRIVERS, Step, sequences
from tests.support.postgres import PostgresServer
from tests.support.same import same
from timetracer_otel import testing

pytestmark = pytest.mark.system

NOWHERE = "postgresql://somebody:else@db.nowhere.example:6543/warehouse"
TOGETHER = 10
"""Sequences in one recording, which takes its time to begin and to end."""
EXAMPLES = int(os.environ.get("SEQUENCES", "20" if "CI" in os.environ else "200")) // TOGETHER


@pytest.mark.parametrize("driver", DRIVERS)
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(made=st.lists(sequences, min_size=TOGETHER, max_size=TOGETHER))
def test_a_sequence_replays_as_it_was_recorded(driver: str, made: list[list[Step]], server: PostgresServer) -> None:
    """Values, types, tags, counts, errors, and where the transaction stands after each; the server is not asked."""
    with tempfile.TemporaryDirectory() as folder:
        with testing.record(Path(folder)):
            then = [DRIVERS[driver](server.dsn, steps) for steps in made]
        with testing.replay(Path(folder)) as replay:
            now = [DRIVERS[driver](NOWHERE, steps) for steps in made]
        outcome = replay.outcome()
    for one, other, steps in zip(now, then, made, strict=True):
        assert same(one, other), f"{steps}\n{one}\nand not\n{other}"
    assert (outcome.misses, outcome.unused, outcome.refused) == ([], [], [])
