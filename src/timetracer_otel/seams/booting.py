"""How a child that was to run in isolation is set up, and made to look as it was asked for."""

from __future__ import annotations

import builtins
import json
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any, Final

from timetracer_otel.seams.children import BOOT, CHILD

__all__ = ["boot"]

_NEEDED: Final = frozenset({
    "google", "importlib_metadata", "opentelemetry", "orjson", "packaging", "psutil", "pybase64", "timetracer_otel",
    "typing_extensions", "wrapt", "zipp", "zstandard",
})  # fmt: skip
"""We and OpenTelemetry import these late. Nothing else is found that the program itself would not find."""
_OF_SITE: Final = ("copyright", "credits", "exit", "help", "license", "quit")
"""Builtins that only the site module makes."""


def boot() -> None:
    """Set this process up as its parent is, then take away what it was given for that."""
    told: dict[str, Any] = json.loads(os.environ.pop(CHILD))
    if BOOT in sys.path:
        sys.path.remove(BOOT)
    os.environ["PYTHONPATH"] = told["env"].get("PYTHONPATH") or ""
    try:
        from opentelemetry.instrumentation.auto_instrumentation import initialize  # noqa: PLC0415 - once the path is right

        initialize()
    finally:
        _restore_environment(told["env"])
        sys.orig_argv[:] = told["args"]
        if told["no_site"]:
            _undo_site(os.environ.get("PYTHONPATH", "") if not told["no_environment"] else "")


def _restore_environment(asked: Mapping[str, str | None]) -> None:
    for name, value in asked.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _undo_site(given: str) -> None:
    """Take back what the site module does, which ``-S`` asks to leave out."""
    everywhere = list(sys.path)
    own = {*_standard_library(), *filter(None, given.split(os.pathsep))}
    sys.path[:] = [place for place in everywhere if place in own]
    sys.meta_path.append(_NeededFinder(everywhere))
    for name in _OF_SITE:
        if hasattr(builtins, name):
            delattr(builtins, name)


def _standard_library() -> list[str]:
    library = sysconfig.get_path("stdlib")
    archive = os.path.join(os.path.dirname(library), f"python{sys.version_info[0]}{sys.version_info[1]}.zip")  # noqa: PTH118, PTH120 - as sys.path spells them
    return [library, archive, os.path.join(library, "lib-dynload")]  # noqa: PTH118 - likewise


class _NeededFinder:
    """Finds what we import late, where the site module had found it.

    Args:
        path: the places.
    """

    def __init__(self, path: Sequence[str]) -> None:
        self._path = path

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """Give a module's spec; see :class:`importlib.abc.MetaPathFinder`."""
        if name.partition(".")[0] not in _NEEDED or path is not None:
            return None
        return PathFinder.find_spec(name, self._path)
