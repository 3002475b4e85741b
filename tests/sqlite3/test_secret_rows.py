"""A secret in a row is sealed; who replays without the key is told so."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from timetracer_otel import sealing, testing

SECRET = "correct horse 7"


pytestmark = pytest.mark.usefixtures("own_key")


def asked() -> list[Any]:
    """Read a row that has a password."""
    with closing(sqlite3.connect(":memory:")) as connection:
        return connection.execute("SELECT 'ann' AS name, 'correct ' || 'horse 7' AS password").fetchall()


def test_an_app_that_is_told_a_placeholder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on with it; with the key nothing is to be said."""
    with testing.record(tmp_path):
        assert asked() == [("ann", SECRET)]
    assert not any(SECRET in file.read_text() for file in tmp_path.rglob("*.jsonl"))
    with testing.replay(tmp_path) as replay:
        assert asked() == [("ann", SECRET)]
    assert replay.outcome().sealed == []
    monkeypatch.setenv("TIMETRACER_KEY", "none")
    sealing.forget()
    with testing.replay(tmp_path) as replay:
        [(_, told)] = asked()
    assert told.startswith("tt1.")
    (why,) = replay.outcome().sealed
    assert "which is not here" in why
    assert why in replay.outcome().as_text()
