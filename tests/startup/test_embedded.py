"""A process whose Python is inside of another program, such as uWSGI, has no command line of an interpreter."""

from __future__ import annotations

import sys

import pytest

from timetracer_otel.seams import command_line


def test_the_command_line_is_what_the_program_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set up all the same where it says nothing at all."""
    monkeypatch.setattr(sys, "orig_argv", [])
    monkeypatch.setattr(sys, "argv", ["uwsgi"])
    assert command_line.of_this_process() == ["uwsgi"]
    monkeypatch.delattr(sys, "argv")
    assert command_line.of_this_process() == [sys.executable]


def test_what_cleans_up_behind_processes_is_no_program_of_the_app() -> None:
    """It starts with any worker that multiprocessing spawns; a verification may end before it came up."""
    for code, tracks in (
        ("resource_tracker import main;main(5)", True),
        ("spawn import spawn_main; spawn_main()", False),
    ):
        command = command_line.PythonCommand.of(["python3", "-B", "-c", f"from multiprocessing.{code}"])
        assert command is not None
        assert command.tracks is tracks
