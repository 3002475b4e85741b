"""A command whose Python is not set up is refused: it would run live, against what is there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from timetracer_otel.errors import ConfigError
from timetracer_otel.replay import interpreter


def script(path: Path, text: str) -> str:
    """Make a program."""
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_a_python_without_us_is_refused(tmp_path: Path) -> None:
    """Another virtual environment's, whether it is named or stands in the first line of a program."""
    other = script(tmp_path / "python3", "#!/bin/sh\nexit 1\n")
    for command in (other, script(tmp_path / "flask", f"#!{other}\nimport flask\n")):
        with pytest.raises(ConfigError, match="has no timetracer-otel"):
            interpreter.check([command, "run"])


@pytest.mark.parametrize("flag", ["-I", "-E", "-S", "-uI"])
def test_a_python_in_isolation_is_refused(flag: str) -> None:
    """It does not look for what sets it up."""
    with pytest.raises(ConfigError, match="not set up"):
        interpreter.check([sys.executable, flag, "app.py"])


def test_others_run(tmp_path: Path) -> None:
    """This Python, one that has us too, and what is no Python."""
    one = script(tmp_path / "python3.11", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    for command in ([sys.executable, "-X", "utf8", "app.py", "-I"], [one, "app.py"], ["sh", "-c", "true"]):
        interpreter.check(command)


def test_a_command_that_is_not_there() -> None:
    """It says so."""
    with pytest.raises(ConfigError, match="there is no such command"):
        interpreter.check(["no-such-command"])
