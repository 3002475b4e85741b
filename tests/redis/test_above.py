"""Libraries that stand on redis-py work without being named: what they give is the same with the server gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.redis.above import LIBRARIES
from tests.redis.conftest import serving
from tests.support.same import identical
from timetracer_otel import testing

pytestmark = pytest.mark.system  # redis-server is no Python package


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_same_is_seen(name: str, tmp_path: Path) -> None:
    """Another port; nothing is missed, and nothing left unused."""
    with serving(tmp_path) as port, testing.record(tmp_path / "cassettes"):
        recorded = LIBRARIES[name](port)
    with testing.replay(tmp_path / "cassettes") as replay:
        replayed = LIBRARIES[name](1)
    assert identical(replayed, recorded), f"{replayed}\nand not\n{recorded}"
    outcome = replay.outcome()
    assert (outcome.misses, outcome.unused) == ([], [])
