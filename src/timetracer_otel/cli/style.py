"""How times, sizes and states look."""

from __future__ import annotations

from typing import Final

__all__ = ["milliseconds", "size", "status_style"]

_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500
_SECOND: Final = 1000.0


def milliseconds(duration: float) -> str:
    """Write a duration.

    Args:
        duration: milliseconds.
    """
    return f"{duration / _SECOND:.2f} s" if duration >= _SECOND else f"{duration:.1f} ms"


def size(count: int) -> str:
    """Write a number of bytes in decimal units.

    Args:
        count: bytes.
    """
    if count < 1000:  # noqa: PLR2004 - where the next unit begins
        return f"{count} B"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"  # noqa: PLR2004 - as above


def status_style(kind: str, status: int | None) -> str:
    """Give the colour of a status: HTTP's by its class, a process's by whether it is 0.

    Args:
        kind: lane or session.
        status: HTTP status or exit status.
    """
    if status is None:
        return "dim"
    if kind == "session":
        return "red" if status else "green"
    return "red" if status >= _SERVER_ERROR else "yellow" if status >= _CLIENT_ERROR else "green"
