"""Who draws: the app's own code, a library, or plumbing.

The first two count. TLS, event loops, log records, connection pools and OpenTelemetry read clocks and make random ids
all the time; given recorded ones they would break: :mod:`timetracer_otel.nondeterminism.plumbing`.
"""

from __future__ import annotations

import importlib
import json
import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, Final

from timetracer_otel.nondeterminism.plumbing import EDGES, MODULES, OTHERS, Names

__all__ = ["LIBRARY", "PLUMBING", "classify", "configure", "counts", "importing", "imports", "known", "origin"]

PLUMBING: Final = ""
LIBRARY: Final = "*"

known: dict[str, str] = {}
"""Of each source file: the app's module that it is, or :data:`PLUMBING`, or :data:`LIBRARY`."""
imports: dict[str, Any] = getattr(importlib._bootstrap, "_module_locks", {})  # noqa: SLF001 - nothing public says it
"""The interpreter's locks of the modules that are being imported now, in any thread: empty nearly always."""

_OURS: Final = str(Path(__file__).parents[1]) + os.sep
_apps: tuple[str, ...] = ()
_plumbing = Names(MODULES)
_edges: Final = Names(EDGES)
_others: Final = Names(OTHERS)
_ends: dict[str, bool] = {}
"""Source files at which the search for who asked ends, and whether what was drawn inside of them counts."""


def configure(app_packages: tuple[str, ...], plumbing: Iterable[str] = ()) -> None:
    """Begin anew.

    Args:
        app_packages: installed packages that are part of the app.
        plumbing: modules whose draws do not count, beside those of :mod:`plumbing`.
    """
    global _apps, _plumbing  # noqa: PLW0603 - a process has one installation
    _apps = (*app_packages, *_installed_from_source())
    _plumbing = Names((*MODULES, *plumbing))
    known.clear()
    _ends.clear()
    _kind.cache_clear()


def classify(frame: FrameType) -> str:
    """Say what the code of a frame is, and remember it for its file.

    Args:
        frame: that calls.

    Returns:
        The name of the app's module, :data:`PLUMBING` or :data:`LIBRARY`.
    """
    filename = frame.f_code.co_filename
    name = _module_name(frame, filename)
    if filename.startswith("<") and not filename.startswith("<frozen"):
        # Generated code, as a dataclass's __init__: it is where its module is.
        return _kind(str(frame.f_globals.get("__file__") or ""), name)
    if name in _edges:
        _ends[filename] = True
    elif name in _others:
        _ends[filename] = False
    kind = known[filename] = _kind(filename, name)
    return kind


def origin(frame: FrameType) -> tuple[FrameType | None, FrameType | None]:
    """Look from a frame outwards for who draws, and for whom.

    Returns:
        The nearest frame that is no plumbing, None when nothing of what is drawn counts; and the nearest one of the
        app's own code within the same step of a server or a loop, None when there is none.
    """
    drawing: FrameType | None = None
    outer: FrameType | None = frame
    while outer is not None:
        filename = outer.f_code.co_filename
        kind = known.get(filename)
        if kind is None:
            kind = classify(outer)
        if kind == PLUMBING:
            if filename in _ends:
                return (drawing, None) if _ends[filename] else (None, None)
        elif kind == LIBRARY:
            drawing = drawing or outer
        else:
            return drawing or outer, outer
        outer = outer.f_back
    return drawing, None


def importing(frame: FrameType) -> bool:
    """Whether a frame runs because a module is being imported: what it draws is drawn once a process."""
    outer: FrameType | None = frame
    while outer is not None:
        filename = outer.f_code.co_filename
        if filename == "<frozen importlib._bootstrap>":
            return True
        if filename in _ends:
            return False
        outer = outer.f_back
    return False


def counts(module: object) -> bool:
    """Whether what a module draws counts."""
    name, filename = getattr(module, "__name__", None), getattr(module, "__file__", None)
    if not isinstance(name, str) or not (isinstance(filename, str) or name == "__main__"):
        return False
    return _kind(filename or "", name) != PLUMBING


@cache  # generated code asks at each draw
def _kind(filename: str, name: str) -> str:
    if filename.startswith(_OURS):
        return PLUMBING
    if _within(name, _apps):
        return name
    if _is_library(filename):
        return PLUMBING if name in _plumbing else LIBRARY
    return name or LIBRARY  # generated without a module: an attrs class's __init__, a template


def _within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def _is_library(filename: str) -> bool:
    if filename.startswith("<frozen"):
        return True
    absolute = Path(filename).absolute()
    installed = not {"site-packages", "dist-packages"}.isdisjoint(absolute.parts)
    return installed or (bool(filename) and str(absolute).startswith(_library_folders()))


@cache
def _library_folders() -> tuple[str, ...]:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple({folder + os.sep for path in paths for folder in (path, os.path.realpath(path))})


def _module_name(frame: FrameType, filename: str) -> str:
    """The module's name; of the program that runs the one by which others would import it."""
    name = str(frame.f_globals.get("__name__", ""))
    if name != "__main__":
        return name
    spec = frame.f_globals.get("__spec__")
    if spec is not None:
        return str(spec.name)
    return Path(str(frame.f_globals.get("__file__") or filename)).stem.strip("<>")


def _installed_from_source() -> Iterator[str]:
    """Packages installed from a folder or a repository instead of an index: the app's own (PEP 610)."""
    folders = {*sys.path, *(site.getsitepackages() if hasattr(site, "getsitepackages") else ())}
    for folder in folders:
        for origin in Path(folder or ".").glob("*.dist-info/direct_url.json"):
            yield from _packages(origin)


def _packages(origin: Path) -> Iterator[str]:
    try:
        url = json.loads(origin.read_text(encoding="utf-8"))
        lines = (origin.parent / "RECORD").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return  # no more than a hint
    if "archive_info" in url:
        return  # a wheel: as good as from an index
    tops = {line.partition(",")[0].partition("/")[0].removesuffix(".py") for line in lines}
    yield from (top for top in tops if top.isidentifier() and not top.startswith("__") and top != "timetracer_otel")
