"""``clean``, ``watch`` and ``doctor``; names of settings that are misspelt; commands whose libraries lack."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.conftest import START, Command, Recording
from timetracer_otel import commands, config
from timetracer_otel.cassette import storage
from timetracer_otel.cli import cleaning, doctor, watching
from timetracer_otel.cli.choosing import Wanted

SECOND = 1_000_000_000


def lane(folder: Path, number: int, status: int = 200, session: str = "5" * 32) -> Path:
    """Write a lane that began ``number`` seconds after the first."""
    recording = Recording(number, session)
    recording.entry(status=status)
    return recording.write(folder / "2026-11-18" / f"{number:02}" / f"{number}.jsonl")


def test_what_is_meant_goes_and_the_oldest_until_few_enough_stay(tmp_path: Path) -> None:
    """By age, status, and size."""
    files = {number: lane(tmp_path, number, 500 if number == 2 else 200) for number in (1, 2, 3, 4)}
    old = cleaning.plan(tmp_path, Wanted(until=START + 3 * SECOND), None)
    assert (old.files, old.kept) == ([files[1], files[2]], 2)
    assert cleaning.plan(tmp_path, Wanted(status=(200, 299)), None).files == [files[1], files[3], files[4]]
    one = files[1].stat().st_size
    assert cleaning.plan(tmp_path, Wanted(), 2 * one + one // 2).files == [files[1], files[2]]
    assert cleaning.plan(tmp_path, Wanted(), 100 * one).files == []


def test_a_session_stays_while_a_lane_names_it(tmp_path: Path) -> None:
    """It goes with the last of its lanes."""
    session = Recording(0, "7" * 32, of_session=True)
    session.call(1, {"ping": 1, "$db": "shop"}, {"ok": 1.0})
    of_session = session.write(storage.session_path(tmp_path, START, "app", session.id))
    first, second = lane(tmp_path, 1, session="7" * 32), lane(tmp_path, 2, 500, session="7" * 32)
    assert cleaning.plan(tmp_path, Wanted(status=(200, 299)), None).files == [first]
    assert set(cleaning.plan(tmp_path, Wanted(until=START + 9 * SECOND), None).files) == {of_session, first, second}


def test_latest_leads_to_what_is_left(tmp_path: Path) -> None:
    """Folders that are empty go too."""
    first, second = lane(tmp_path, 1), lane(tmp_path, 2)
    storage.point_latest(tmp_path, second)
    cleaning.carry_out(tmp_path, [second])
    assert (tmp_path / "latest.jsonl").resolve() == first
    assert not second.parent.exists()
    cleaning.carry_out(tmp_path, [first])
    assert list(tmp_path.iterdir()) == []


def test_clean_says_what_it_does(tmp_path: Path, timetracer: Command) -> None:
    """--dry-run names the files and removes none; without any wish nothing goes."""
    file = lane(tmp_path, 1)
    nothing = timetracer("clean", tmp_path)
    assert (nothing.returncode, nothing.stdout) == (2, "")
    dry = timetracer("clean", tmp_path, "--status", "2xx", "--dry-run")
    assert dry.stdout.splitlines()[0] == str(file)
    assert dry.stdout.splitlines()[1].endswith("would go; 0 stay")
    assert file.exists()
    assert timetracer("clean", tmp_path, "--status", "2xx").stdout.startswith("1 file, ")
    assert not file.exists()


def test_clean_names_what_it_cannot_read(tmp_path: Path, timetracer: Command) -> None:
    """It stays, and the others go."""
    file, damaged = lane(tmp_path, 1), tmp_path / "damaged.jsonl"
    damaged.write_text("{")
    done = timetracer("clean", tmp_path, "--status", "2xx")
    assert (done.returncode, done.stdout.partition(",")[0]) == (2, "1 file")
    assert "damaged.jsonl" in done.stderr
    assert (file.exists(), damaged.exists()) == (False, True)


def test_new_lanes_are_given_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once, in order of start; what was there before is not told."""
    lane(tmp_path, 1)
    batches = [[3, 2], [], [4]]

    def next_batch(_seconds: float) -> None:
        for number in batches.pop(0):
            lane(tmp_path, number)

    monkeypatch.setattr("timetracer_otel.cli.watching.time.sleep", next_batch)
    news = watching.news(tmp_path)
    assert [(next(news).start - START) // SECOND for _ in range(3)] == [2, 3, 4]


def test_misspelt_names_are_told_with_the_closest_one() -> None:
    """Those of ours that are no settings are known; a process that another one of ours has started says nothing."""
    environ = {"TIMETRACER_EXLUDE_PATHS": "/x", "TIMETRACER_XYZ": "1", "TIMETRACER_KEY": "k", "TIMETRACER_DIR": "d"}
    found = list(config.misspelt(environ))
    assert found == [("TIMETRACER_EXLUDE_PATHS", "TIMETRACER_EXCLUDE_PATHS"), ("TIMETRACER_XYZ", "")]
    assert config.told(*found[0]).endswith("has no effect: is TIMETRACER_EXCLUDE_PATHS meant?")
    assert list(config.misspelt({**environ, "TIMETRACER_REPLAY_JOURNAL": "/j"})) == []


def test_misspelt_names_are_said_when_a_program_starts() -> None:
    """One line on stderr, recorded or not; the program runs."""
    program = "from timetracer_otel.autoload import pre_instrument; pre_instrument(); print('ran')"
    env = {**os.environ, "TIMETRACER_MOD": "record"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("ran\n", 0)
    assert done.stderr == "timetracer: TIMETRACER_MOD is no setting and has no effect: is TIMETRACER_MODE meant?\n"


def test_doctor_tells_what_is_wrong() -> None:
    """Misspelt names, settings that are none and exporters that lack are errors; libraries are told with versions."""
    environ = {"TIMETRACER_MOD": "record", "TIMETRACER_MODE": "reecord", "OTEL_TRACES_EXPORTER": "timetracer,gone"}
    found = list(doctor.examine(environ, self_test=False))
    errors = [one.what for one in found if one.state == "error"]
    assert errors == ["TIMETRACER_MOD", "settings", "exporter"]
    told = {one.what: one for one in found}
    assert told["pymongo"].state == "ok"
    assert "spans by pymongo" in told["pymongo"].told


def test_every_name_that_is_patched_is_there() -> None:
    """The installed libraries have all names that a supported version must have."""
    assert [one for one in doctor.examine({}, self_test=False) if one.state == "warning"] == []


@pytest.mark.system
def test_doctor_records_and_replays(timetracer: Command) -> None:
    """The self-test, with the real commands; exit status 0."""
    done = timetracer("doctor")
    assert "a program was recorded, and replayed with its database gone" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize("command", [commands.timetracer, commands.replay])
@pytest.mark.parametrize("lacks", ["click", "rich"])
def test_commands_say_which_extra_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: Callable[[], None], lacks: str
) -> None:
    """Without click or rich, of which an app may bring one: one line, exit status 2."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == lacks else found(name))
    with pytest.raises(SystemExit) as ended:
        command()
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith("pip install 'timetracer-otel[cli]'\n")


def test_help_has_examples_of_every_command(timetracer: Command) -> None:
    """``--help`` of a command shows how it is typed."""
    for command in ("list", "export", "doctor"):
        text = timetracer(command, "--help").stdout
        assert f"Examples:\n    timetracer {command}" in text


def test_doctor_goes_on_below_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal of 60 columns no line is wider, and no word is cut."""
    told = "a sentence that tells what is there, and why it is right or wrong, and what to do about it"
    monkeypatch.setattr(doctor, "console", lambda: Console(width=60, color_system=None))
    assert doctor.print_findings(iter([doctor.Finding("note", "exporter", told)]))
    first, *more = (line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert first.startswith("note    exporter  a sentence")
    assert more
    assert all(line.startswith(" " * 8) and len(line) <= 60 for line in more)
    assert " ".join([first, *(line.strip() for line in more)]).endswith(told)
