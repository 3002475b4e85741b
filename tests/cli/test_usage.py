"""What is typed: help, completion by the shell, Ctrl-C, numbers that are none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.support.commands import REPLAY
from timetracer_otel.cli import listing, main
from timetracer_otel.replay import launcher

Ended: TypeAlias = "tuple[object, str, str]"
Typed: TypeAlias = Callable[..., Ended]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """A command line that is typed in the home of a user: its status, and what it printed on stdout and stderr."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")

    def run(program: Callable[[], None], *words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["timetracer", *words])
        status: object = 0
        try:
            program()
        except SystemExit as ended:
            status = ended.code
        return (status, *capsys.readouterr())

    return run


def test_help_describes_commands_and_arguments(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are in the order of use, arguments stand above the options; in 60 columns no line is wider."""
    status, printed, _ = typed(main.run, "--help")
    assert status == 0
    assert printed.index("  list ") < printed.index("  show ") < printed.index("  send ") < printed.index("  doctor ")
    status, printed, _ = typed(main.run, "search", "-h")
    assert printed.startswith("Usage: timetracer search [OPTIONS] TEXT [CASSETTE…]\n")
    assert "\nArguments:\n  TEXT         In any case of its letters.  [required]\n  [CASSETTE…]  Files, " in printed
    monkeypatch.setenv("COLUMNS", "60")
    _, printed, _ = typed(launcher.run, "--help")
    assert max(map(len, printed.partition("Examples:")[0].splitlines())) <= 60


SHELLS = {
    "bash": (".bash_completions/timetracer.sh", ".bashrc"),
    "zsh": (".zfunc/_timetracer", ".zshrc"),
    "fish": (".config/fish/completions/timetracer.fish", ""),
}
"""The script of each, and the file that it reads at its start, where it needs a line of ours."""


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_learns_to_complete(tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    """Its script lies where it finds it, and is named once in the file that it reads at its start."""
    script, startup = SHELLS[shell]
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    if startup:
        (tmp_path / startup).write_text("alias ll='ls -l'")
    status, shown, _ = typed(main.run, "--show-completion")
    assert (status, "_TIMETRACER_COMPLETE" in shown) == (0, True)
    for _ in range(2):
        status, told, _ = typed(main.run, "--install-completion")
        assert (status, str(tmp_path / script) in told) == (0, True)
    assert (tmp_path / script).read_text().strip() == shown.strip()
    if startup:
        first, *more = (tmp_path / startup).read_text().splitlines()
        assert (first, len(more)) == ("alias ll='ls -l'", 1)


def test_a_shell_is_told_what_may_come_next(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands, choices, and files where a cassette is named; a shell that cannot complete is refused."""
    monkeypatch.setenv("SHELL", "/bin/dash")
    status, _, error = typed(main.run, "--install-completion")
    assert (status, error.count("\n"), "SHELL=/bin/dash" in error) == (2, 1, True)
    monkeypatch.setenv("_TIMETRACER_COMPLETE", "bash_complete")
    for words, last, expected in (
        ("timetracer sho", 1, "plain,show\n"),
        ("timetracer list --sort ol", 3, "plain,oldest\n"),
        ("timetracer show cass", 2, "file,cass\n"),
    ):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(last))
        assert typed(main.run) == (0, expected, "")


def test_after_ctrl_c_the_status_is_that_of_a_shell(
    tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """130, without a word."""

    def interrupted(_folder: str) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(listing, "collect", interrupted)
    assert typed(main.run, "list", str(tmp_path)) == (130, "", "")


@pytest.mark.parametrize("seconds", ["nan", "-1", "x"])
def test_what_is_no_number_of_seconds_is_refused(typed: Typed, seconds: str) -> None:
    """By status 2, and the name of the option."""
    status, _, error = typed(launcher.run, "--verify", "--wait", seconds, "--", "true")
    assert (status, "Invalid value for '--wait'" in error) == (2, True)


def test_a_replay_whose_reader_left_says_nothing() -> None:
    """``timetracer-replay … | true`` ends without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([*REPLAY, "--help"], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, b"")
