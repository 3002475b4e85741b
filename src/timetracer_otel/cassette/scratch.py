"""A private folder for what a process downloads or sorts; it goes when the process ends."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path

from timetracer_otel.errors import CassetteError

__all__ = ["below", "discard", "folder", "holds", "named", "new_file"]

_made: tuple[int, Path] | None = None
"""The process that made the folder, and the folder: a forked child must not remove it."""


def folder() -> Path:
    """Give the folder of this process, made when first asked for; only its owner can look into it.

    Raises:
        CassetteError: it cannot be made.
    """
    global _made  # noqa: PLW0603 - a process has one such folder
    if _made is None or _made[0] != os.getpid():
        try:
            made = Path(tempfile.mkdtemp(prefix="timetracer-"))  # 0700
        except OSError as error:
            message = f"no folder for temporary files can be made ({error.strerror}): make room, or set TMPDIR"
            raise CassetteError(message) from error
        _made = os.getpid(), made.resolve()
        atexit.register(discard)
    return _made[1]


def new_file(name: str) -> Path:
    """Give the path of a file of that name in a folder of its own.

    Args:
        name: a file's name, without folders.
    """
    return Path(tempfile.mkdtemp(dir=folder())) / name


def below(*names: str) -> Path:
    """Make a folder in this process's folder, and give it.

    Args:
        names: of the folder and those above it.

    Raises:
        CassetteError: it cannot be made.
    """
    made = folder()
    for name in names:
        made /= name
        try:
            made.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise CassetteError(f"cannot be made ({error.strerror}): make room, or set TMPDIR", file=made) from error
    return made


def holds(path: Path) -> bool:
    """Whether a file is in this process's folder, and so goes with it.

    Args:
        path: absolute.
    """
    return _made is not None and path.is_relative_to(_made[1])


def named(text: str) -> str:
    """Give a text with files that were downloaded under the names that they have where they came from.

    Args:
        text: such as an error's, or a path.
    """
    return text if _made is None else re.sub(re.escape(f"{_made[1]}/") + r"([a-z0-9+]+)/", r"\1://", text)


def discard() -> None:
    """Remove the folder now, if this process made it. What is open stays readable."""
    global _made  # noqa: PLW0603 - as above
    if _made is not None and _made[0] == os.getpid():
        shutil.rmtree(_made[1], ignore_errors=True)
        _made = None
