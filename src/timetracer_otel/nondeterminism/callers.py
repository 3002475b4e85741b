"""Finds who draws: the app's own code, a library, or plumbing.

The first two count. TLS, event loops, log records, connection pools and OpenTelemetry read clocks and make random ids
all the time; given recorded ones they would break: :mod:`timetracer_otel.nondeterminism.plumbing`.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

from timetracer_otel.nondeterminism.plumbing import EDGES, MODULES, OTHERS, Names

__all__ = [
    "LIBRARY",
    "NOBODY",
    "NOT_COUNTED",
    "PLUMBING",
    "Asker",
    "asker",
    "classify",
    "configure",
    "counts",
    "importing",
    "imports",
    "known",
    "outside",
]

PLUMBING: Final = ""
LIBRARY: Final = "*"

known: dict[str, str] = {}
"""The role of each source file: the app's module that it is, or :data:`PLUMBING`, or :data:`LIBRARY`."""
imports: dict[str, Any] = getattr(importlib._bootstrap, "_module_locks", {})  # noqa: SLF001 - nothing public says it
"""The interpreter's locks of the modules that are being imported now, in any thread: empty nearly always."""

_OURS: Final = str(Path(__file__).parents[1]) + os.sep
_apps: tuple[str, ...] = ()
_plumbing = Names(MODULES)
_edges: Final = Names(EDGES)
_others = Names(OTHERS)
_ends: dict[str, bool] = {}
"""Source files at which the search for who asked ends, and whether what was drawn inside of them counts."""
_MARKED: Final = 4
"""How many frames of one walk are marked: a loop that draws is seldom further out."""
_RESUMED: Final = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
"""Code whose frames may be entered from another caller each time."""


class Asker:
    """The statement of the app for which a library draws, kept as a mark on the library's frames.

    The stack outside of a running frame stays as it is until the frame ends, so a walk that meets a mark is over. A
    mark stands in ``f_trace``, the only place that a frame has for others: a tracer that is set meanwhile and finds it
    calls it for nothing, and a debugger takes it for absent and puts its own there.

    Args:
        code: that asks; None where nobody of the app does.
        instruction: of the code.
        module: of the app that the code belongs to.
    """

    __slots__ = ("code", "instruction", "module")

    def __init__(self, code: CodeType | None, instruction: int, module: str) -> None:
        self.code = code
        self.instruction = instruction
        self.module = module

    def __bool__(self) -> bool:
        return False

    def __call__(self, *_: object) -> None:
        """Trace nothing."""


NOBODY: Final = Asker(None, -1, "")
"""A library draws, and no code of the app is around it."""
NOT_COUNTED: Final = Asker(None, -2, "")
"""The role of code that works for itself, such as an exporter."""
_askers: dict[tuple[int, int], Asker] = {}
"""By code and instruction; each keeps its code alive, so that the identity stays its own."""


def configure(app_packages: tuple[str, ...], plumbing: Iterable[str] = (), apart: Iterable[str] = ()) -> None:
    """Begin anew.

    Args:
        app_packages: installed packages that are part of the app.
        plumbing: modules whose draws do not count, beside those of :mod:`plumbing`.
        apart: modules for which also others draw what does not count, beside those of :data:`OTHERS`.
    """
    global _apps, _plumbing, _others  # noqa: PLW0603 - a process has one installation
    _apps = (*app_packages, *_installed_from_source())
    apart = tuple(apart)
    _plumbing = Names((*MODULES, *plumbing, *apart))
    _others = Names((*OTHERS, *apart))
    known.clear()
    _ends.clear()
    _kind.cache_clear()
    _remove_marks()


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


def outside(frame: FrameType) -> tuple[FrameType | None, str]:
    """Step out of plumbing.

    Args:
        frame: of any code.

    Returns:
        The nearest frame that is no plumbing, and what it is, see :func:`classify`; None when there is none.
    """
    outer: FrameType | None = frame
    while outer is not None:
        filename = outer.f_code.co_filename
        kind = known.get(filename)
        if kind is None:
            kind = classify(outer)
        if kind != PLUMBING:
            return outer, kind
        if filename in _ends:
            break
        outer = outer.f_back
    return None, PLUMBING


def asker(frame: FrameType) -> Asker:
    """Look from a frame of a library outwards for who asked it.

    Args:
        frame: of the library, that draws.

    Returns:
        The app's nearest statement within the same step of a server or a loop; :data:`NOBODY` or :data:`NOT_COUNTED`.
    """
    passed: list[FrameType] = []
    outer: FrameType | None = frame
    found = NOBODY
    while outer is not None:
        mark = outer.f_trace
        if type(mark) is Asker:
            found = mark
            break
        code = outer.f_code
        filename = code.co_filename
        kind = known.get(filename)
        if kind is None:
            kind = classify(outer)
        if kind == PLUMBING:
            if filename in _ends:
                found = NOBODY if _ends[filename] else NOT_COUNTED
                break
        elif kind != LIBRARY:
            found = _asker_at(code, outer.f_lasti, kind)
            break
        if mark is None and len(passed) < _MARKED and not code.co_flags & _RESUMED:
            passed.append(outer)
        outer = outer.f_back
    if passed and sys.gettrace() is None:
        for one in passed:
            one.f_trace = found
    return found


def _asker_at(code: CodeType, instruction: int, module: str) -> Asker:
    key = (id(code), instruction)
    found = _askers.get(key)
    if found is None:
        found = _askers[key] = Asker(code, instruction, module)
    return found


def _remove_marks() -> None:
    """Forget who asked: from now on other modules may be the app's."""
    _askers.clear()
    for top in sys._current_frames().values():  # noqa: SLF001 - the only way to other threads' frames
        frame: FrameType | None = top
        while frame is not None:
            if type(frame.f_trace) is Asker:
                frame.f_trace = None
            frame = frame.f_back


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


@cache
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
