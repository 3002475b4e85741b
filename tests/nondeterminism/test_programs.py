"""Whole programs under the command line, where we are there before their modules are imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.commands import OTEL, REPLAY

ROOT = Path(__file__).parents[2]
_DRAWING = ["-m", "tests.nondeterminism.drawing"]


def output(*command: str) -> str:
    """What a program prints."""
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_program_draws_the_same_again(tmp_path: Path) -> None:
    """Every way to draw, with what classes and modules bound at import."""
    env = f"TIMETRACER_DIR={tmp_path}"
    python = [sys.executable, *_DRAWING]
    recorded = output("env", env, *OTEL, "--traces_exporter", "timetracer", *python)
    replayed = output(*REPLAY, str(tmp_path), "--", *python)
    assert len(recorded.splitlines()) > 30
    assert replayed == recorded
    assert output(*python) != recorded
