"""Transactions of confluent-kafka: what only the broker knows of the group, and what is reported at their ends."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.kafka.harness import NOWHERE, RECORD, filled, run
from tests.support.commands import REPLAY

pytestmark = pytest.mark.system  # kfake is built with Go

PROGRAM = (sys.executable, "confluent_transactions.py")


def test_committed_and_aborted(tmp_path: Path) -> None:
    """A replay says the same, by reports that nobody polls for, and is verified."""
    with filled(PROGRAM[1]) as address:
        done = run(*RECORD, *PROGRAM, KAFKA=address, TIMETRACER_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "_PURGE_QUEUE" in done.stdout
    replayed = run(*REPLAY, str(tmp_path), "--", *PROGRAM, KAFKA=NOWHERE)
    assert (replayed.returncode, replayed.stdout) == (0, done.stdout), replayed.stderr
    verified = run(*REPLAY, "--verify", str(tmp_path), "--", *PROGRAM, KAFKA=NOWHERE)
    assert (verified.returncode, "0 differ" in verified.stdout) == (0, True), verified.stdout
