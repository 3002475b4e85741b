"""Who draws: the app's own code, a library that draws for it, or a library for itself.

Only the first two count. TLS, event loops, log records, connection pools and OpenTelemetry read clocks and make random
ids all the time; given recorded ones they would break.
"""

from __future__ import annotations

import json
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Final

__all__ = ["FOR_THE_APP", "LIBRARY", "app_frame", "classify", "configure", "is_app", "known"]

LIBRARY: Final = ""
FOR_THE_APP: Final = "*"

known: dict[str, str] = {}
"""Of each source file: the app's module that it is, or :data:`LIBRARY`, or :data:`FOR_THE_APP`."""

_DRAW_FOR_THE_APP: Final = (
    # a default that the app declared: id: UUID = Field(default_factory=uuid4)
    "attr", "attrs", "beanie", "concurrent.futures.thread", "django.db.models", "functools", "marshmallow",
    "mongoengine", "msgspec", "odmantic", "pydantic", "sqlalchemy.engine.default", "sqlalchemy.sql", "sqlmodel",
    # ids, tokens, expiry dates and made-up data that the app sends or checks
    "arrow", "authlib", "django.contrib.sessions", "django.core.signing", "django.http", "django.utils.crypto",
    "django.utils.timezone", "email.utils", "faker", "flask.sessions", "http.cookies", "itsdangerous", "jose",
    "joserfc", "jwt", "nanoid", "pendulum", "shortuuid", "starlette.middleware.sessions", "starlette.responses", "ulid",
    "werkzeug.http", "werkzeug.security",
)  # fmt: skip
"""Modules and packages whose draws are the app's: it asked for them, and their results reach its data."""

_OURS: Final = str(Path(__file__).parents[1]) + os.sep
_apps: tuple[str, ...] = ()


def configure(app_packages: tuple[str, ...]) -> None:
    """Begin anew.

    Args:
        app_packages: installed packages that are part of the app.
    """
    global _apps  # noqa: PLW0603 - a process has one installation
    _apps = (*app_packages, *_installed_from_source())
    known.clear()


def classify(frame: FrameType) -> str:
    """Say what the code of a frame is, and remember it for its file.

    Args:
        frame: that calls.

    Returns:
        The name of the app's module, :data:`LIBRARY` or :data:`FOR_THE_APP`.
    """
    filename = frame.f_code.co_filename
    name = _module_name(frame, filename)
    if filename.startswith("<") and not filename.startswith("<frozen"):
        # Generated code, as a dataclass's __init__: it is where its module is.
        return _kind(str(frame.f_globals.get("__file__") or ""), name)
    kind = known[filename] = _kind(filename, name)
    return kind


def app_frame(frame: FrameType) -> FrameType | None:
    """The nearest frame of the app's own code, from a frame outwards; None when there is none."""
    outer: FrameType | None = frame
    while outer is not None:
        kind = known.get(outer.f_code.co_filename)
        if kind is None:
            kind = classify(outer)
        if kind not in (LIBRARY, FOR_THE_APP):
            return outer
        outer = outer.f_back
    return None


def is_app(module: object) -> bool:
    """Whether a module is the app's own."""
    name, filename = getattr(module, "__name__", None), getattr(module, "__file__", None)
    if not isinstance(name, str) or not (isinstance(filename, str) or name == "__main__"):
        return False
    return _kind(filename or "", name) not in (LIBRARY, FOR_THE_APP)


def _kind(filename: str, name: str) -> str:
    if filename.startswith(_OURS):
        return LIBRARY
    if _within(name, _apps):
        return name
    if _is_library(filename):
        return FOR_THE_APP if _within(name, _DRAW_FOR_THE_APP) else LIBRARY
    return name or FOR_THE_APP  # generated without a module: an attrs class's __init__, a template


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
