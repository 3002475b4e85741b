"""Whole programs under the command line, where we are there before their modules are imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.nondeterminism.libraries import LIBRARIES
from tests.support.commands import OTEL, REPLAY

pytestmark = pytest.mark.system  # half a minute of CPU: each case starts programs

ROOT = Path(__file__).parents[2]
_DRAWING = [sys.executable, "-m", "tests.nondeterminism.drawing"]
_LIBRARIES = [sys.executable, "-m", "tests.nondeterminism.libraries"]
_FIRST_USE = [sys.executable, "-m", "tests.nondeterminism.first_use"]
_SETS = [sys.executable, "-c", "print(list(set(map(str, range(30)))))"]


def output(*command: str, **env: str) -> str:
    """What a program prints."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    ended = subprocess.run(
        command, cwd=ROOT, env={**inherited, **env}, capture_output=True, text=True, timeout=110, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def recorded(folder: Path, *command: str, **env: str) -> str:
    """What a program prints while it is recorded."""
    return output(*OTEL, "--traces_exporter", "timetracer", *command, TIMETRACER_DIR=str(folder), **env)


def replayed(folder: Path, *command: str) -> str:
    """What a program prints in the replay."""
    return output(*REPLAY, str(folder), "--", *command)


def test_a_program_draws_the_same_again(tmp_path: Path) -> None:
    """Every way to draw, with what classes and modules bound at import."""
    first = recorded(tmp_path, *_DRAWING)
    assert len(first.splitlines()) > 30
    assert replayed(tmp_path, *_DRAWING) == first
    assert output(*_DRAWING) != first


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What libraries made in a recorded process, and in one that replays it."""
    folder = tmp_path_factory.mktemp("libraries")
    both = recorded(folder, *_LIBRARIES), replayed(folder, *_LIBRARIES)
    first, second = (dict(line.split(": ", 1) for line in text.splitlines()) for text in both)
    return first, second


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_draws_the_same_again(libraries: tuple[Mapping[str, str], Mapping[str, str]], name: str) -> None:
    """Salts, nonces, ids, times and keys of libraries that nobody named."""
    first, second = libraries
    assert second[name] == first[name]


def test_who_uses_a_library_first_does_not_matter(tmp_path: Path) -> None:
    """What it draws while it is imported is the process's: lanes may be replayed in another order, or alone."""
    first = recorded(tmp_path, *_FIRST_USE, "one", "two", "three").splitlines()
    assert replayed(tmp_path, *_FIRST_USE, "three", "one", "two").splitlines() == [first[2], *first[:2]]
    assert replayed(tmp_path, *_FIRST_USE, "two").splitlines() == [first[1]]


def test_sets_have_their_order(tmp_path: Path) -> None:
    """A recording chooses how strings are hashed, another time otherwise, and the replay does as it did."""
    folders = [tmp_path / str(number) for number in range(2)]
    first = [recorded(folder, *_SETS) for folder in folders]
    assert first[0] != first[1]
    assert [replayed(folder, *_SETS) for folder in folders] == first


def test_a_chosen_hash_seed_is_kept(tmp_path: Path) -> None:
    """Where PYTHONHASHSEED is set it is what it was, and the replay has it too."""
    expected = output(*_SETS, PYTHONHASHSEED="7")
    assert recorded(tmp_path, *_SETS, PYTHONHASHSEED="7") == expected
    assert replayed(tmp_path, *_SETS) == expected


def test_without_recording_no_hash_seed_is_set() -> None:
    """A program that is only traced runs as it always did."""
    print_seed = [sys.executable, "-c", "import os; print(os.environ.get('PYTHONHASHSEED'))"]
    assert output(*OTEL, "--traces_exporter", "none", "--metrics_exporter", "none", *print_seed).strip() == "None"
