"""The console scripts. They stand on libraries that a recording does not need, and say so where these lack."""

from __future__ import annotations

import importlib
import sys
from typing import Final

__all__ = ["replay", "timetracer"]

_LIBRARIES: Final = frozenset({"click", "rich"})


def timetracer() -> None:
    """Run ``timetracer``."""
    _run("timetracer", "timetracer_otel.cli.main")


def replay() -> None:
    """Run ``timetracer-replay``."""
    _run("timetracer-replay", "timetracer_otel.replay.launcher")


def _run(command: str, module: str) -> None:
    try:
        run = importlib.import_module(module).run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _LIBRARIES:
            raise
        sys.stderr.write(f"{command}: the command line is not installed: pip install 'timetracer-otel[cli]'\n")
        sys.exit(2)
    run()
