"""What programs do with sqlite3 is the same recorded, and replayed with the file gone: values and types."""

from __future__ import annotations

import shutil
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from tests.sqlite3.edge_scenarios import EDGES
from tests.sqlite3.scenarios import SCENARIOS
from tests.support.same import identical
from timetracer_otel import testing


@pytest.mark.filterwarnings("ignore:Binding .* is a named parameter:DeprecationWarning")  # ?1, of Python 3.12
@pytest.mark.parametrize("name", [*SCENARIOS, *EDGES])
def test_nothing_changes(name: str, tmp_path: Path) -> None:
    """A recorded program sees what it sees without us; replayed it sees that again, and no file is made."""
    scenario, folder = (SCENARIOS | EDGES)[name], tmp_path / "data"
    without = scenario(partial(sqlite3.connect, tmp_path / "plain.db"))
    folder.mkdir()
    connect = sqlite3.connect, sqlite3.Connection, sqlite3.Cursor
    with testing.record(tmp_path / "cassettes"):
        recorded = scenario(lambda **options: sqlite3.connect(folder / "app.db", **options))
    assert (sqlite3.connect, sqlite3.Connection, sqlite3.Cursor) == connect
    shutil.rmtree(folder)
    with testing.replay(tmp_path / "cassettes") as replay:
        replayed = scenario(lambda **options: sqlite3.connect(folder / "app.db", **options))
    outcome = replay.outcome()
    assert identical(recorded, without), f"{recorded}\nand not\n{without}"
    assert identical(replayed, recorded), f"{replayed}\nand not\n{recorded}"
    assert (outcome.misses, outcome.unused) == ([], [])
    assert not folder.exists()
