"""Places that the system refuses: a folder without rights hides no other, and nothing ends in a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Recording
from timetracer_otel import usage
from timetracer_otel.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders, of which nothing in the second can be opened. The tests may run as root, so that is made up."""
    for number in (1, 2):
        recording = Recording(number)
        recording.call(recording.entry(target=f"/{number}"), {"ping": 1, "$db": "shop"}, {"ok": 1.0})
        recording.write(tmp_path / "cassettes" / f"{number}" / "lane.jsonl")
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("/2") and access(path, mode))
    return tmp_path / "cassettes"


@pytest.mark.parametrize(
    "command",
    ["list DIR", "show DIR", "search ping DIR", "stats DIR", "timeline DIR", "diff DIR DIR", "bundle DIR -o OUT",
     "import DIR --to OUT", "clean DIR --older 1m --dry-run", "show DIR --curl", "export har DIR -o OUT",
     "export v1 DIR -o OUT"],
)  # fmt: skip
def test_the_others_are_read(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lane beside it is there, the folder is named."""
    words = {"DIR": str(folder), "OUT": str(folder.parent / "out")}
    monkeypatch.setattr(sys, "argv", ["timetracer", *(words.get(word, word) for word in command.split())])
    with pytest.raises(SystemExit) as ended:
        main.run()
    printed = capsys.readouterr()
    assert (ended.value.code, bool(printed.out)) == (2, True)
    assert f"{folder}/2: cannot be read (Permission denied)" in printed.err


@pytest.mark.parametrize("command", ["list LONG", "stats LONG", "clean LONG --older 1m", "bundle DIR -o LONG"])
def test_a_name_that_no_file_can_have_is_one_line(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the system says of a name that was given, it is no traceback."""
    words = {"DIR": str(folder / "1"), "LONG": "x" * 300}
    monkeypatch.setattr(sys, "argv", ["timetracer", *(words.get(word, word) for word in command.split())])
    monkeypatch.setattr(usage, "leave_pipe", sys.exit)  # stdout is pytest's
    with pytest.raises(SystemExit) as ended:
        main.run()
    error = capsys.readouterr().err
    assert (ended.value.code, error.count("\n"), "x" * 300 in error) == (2, 1, True)


def test_a_full_disk_behind_stdout_is_one_line(folder: Path) -> None:
    """What could not be printed is said, by status 2."""
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "timetracer_otel.cli", "list", folder / "1"],
            stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (2, b"timetracer: No space left on device\n")
