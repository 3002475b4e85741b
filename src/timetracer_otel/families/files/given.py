"""Files that are open for reading, whose content is in a cassette or goes into one."""

from __future__ import annotations

import io
import os
from typing import Any, BinaryIO, TextIO

__all__ = ["content", "file"]


class _Content(io.BytesIO):
    """What a file holds, with its name."""

    name: Any = ""
    mode = "rb"


def file(path: Any, held: bytes, mode: str, encoding: str | None) -> BinaryIO | TextIO:
    """Give a file as ``open`` does, of what is in a cassette.

    Args:
        path: as the app believes.
        held: what it holds.
        mode: that it is opened in.
        encoding: of text.
    """
    raw = _Content(held)
    raw.name = os.fspath(path)
    opened = io.BufferedReader(raw)
    return opened if "b" in mode else io.TextIOWrapper(opened, encoding=encoding)


def content(opened: Any) -> bytes:
    """Give what an open file holds, of which nothing was read yet.

    Args:
        opened: as ``open`` gave it.
    """
    held: bytes = (opened if not hasattr(opened, "buffer") else opened.buffer).read()
    opened.seek(0)
    return held
