"""The Python of the command that is to be replayed: one that is not set up would run the program live."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from typing import Final

from timetracer_otel.errors import ConfigError
from timetracer_otel.seams.command_line import ISOLATING, PythonCommand, interpreter_of, is_this_python

__all__ = ["check"]

_HAS_US: Final = (
    "from importlib.util import find_spec as f; raise SystemExit(not (f('opentelemetry') and f('timetracer_otel')))"
)
_SECONDS: Final = 30.0


def check(command: Sequence[str]) -> None:
    """Refuse a command whose interpreter would not be set up. Of one that is no Python's nothing is known.

    Args:
        command: with its arguments.

    Raises:
        ConfigError: there is no such command, its interpreter has no timetracer-otel, or is to run in isolation.
    """
    executable = shutil.which(command[0])
    if executable is None:
        raise ConfigError(f"{command[0]}: there is no such command; is its virtual environment active?")
    interpreter, *options = interpreter_of(executable)
    python = PythonCommand.of([interpreter, *options, *command[1:]])
    if python is None:
        return
    if isolating := python.flags & ISOLATING:
        raise ConfigError(
            f"{interpreter} -{''.join(sorted(isolating))} is not set up for a replay and would run the program live: "
            "run it without"
        )
    if not is_this_python(interpreter) and not _has_us(interpreter):
        raise ConfigError(
            f"{interpreter} has no timetracer-otel and would run the program live: "
            "install it there, or run the timetracer-replay of that environment"
        )


def _has_us(interpreter: str) -> bool:
    try:
        done = subprocess.run([interpreter, "-c", _HAS_US], timeout=_SECONDS, check=False, capture_output=True)
    except (OSError, subprocess.TimeoutExpired):
        return True  # what is wrong with it shows when it runs the program
    return done.returncode == 0
