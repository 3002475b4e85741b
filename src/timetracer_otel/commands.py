"""The console scripts. They stand on libraries that a recording does not need, and say so where these lack."""

from __future__ import annotations

import importlib
import sys
from importlib import util
from typing import Final

__all__ = ["replay", "timetracer"]

_LIBRARIES: Final = "click", "rich"
"""Looked for at the start: Flask brings the first one along, and rich is imported only where something is printed."""


def timetracer() -> None:
    """Run ``timetracer``."""
    _run("timetracer", "timetracer_otel.cli.main")


def replay() -> None:
    """Run ``timetracer-replay``."""
    _run("timetracer-replay", "timetracer_otel.replay.launcher")


def _run(command: str, module: str) -> None:
    if any(util.find_spec(name) is None for name in _LIBRARIES):
        sys.stderr.write(f"{command}: the command line is not installed: pip install 'timetracer-otel[cli]'\n")
        sys.exit(2)
    importlib.import_module(module).run()
