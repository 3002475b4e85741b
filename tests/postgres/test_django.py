"""Django keeps its connections; one that a miss ended is not the next request's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import OTEL, REPLAY
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.system

RECORD = (*OTEL, "--traces_exporter", "timetracer")
ASKS = (sys.executable, str(Path(__file__).with_name("django_asks.py")))
ELSEWHERE = "postgresql://somebody:else@db.nowhere.example:6543/warehouse"


def asked(folder: Path, dsn: str, *command: str) -> str:
    """Run a command, and give what it printed."""
    env = {**os.environ, "DATABASE_URL": dsn, "TIMETRACER_DIR": str(folder)}
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=120).stdout


def test_after_a_miss_the_next_request_is_answered(installed: PostgresServer, tmp_path: Path) -> None:
    """It gets a connection of its own."""
    installed.start()
    try:
        assert asked(tmp_path, installed.dsn, *RECORD, *ASKS, "1", "2") == "['(2,)', '(3,)']\n"
    finally:
        installed.stop()
    told = asked(tmp_path, ELSEWHERE, *REPLAY, str(tmp_path), "--", *ASKS, "1", "99", "2")
    assert told == "['(2,)', 'ReplayMiss', '(3,)']\n"
