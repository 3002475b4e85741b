"""Writes to the terminal: nothing recorded can control it, and only a terminal gets colours."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson

from timetracer_otel.cassette import scratch

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "complain",
    "console",
    "flush",
    "is_piped",
    "one_line",
    "paragraph",
    "tell",
    "write_array",
    "write_lanes",
    "write_line",
    "write_object",
]

_CONTROLS: Final = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Characters that move the cursor, colour, reorder or hide text; tab and line feed are let through."""
_UNBOUNDED: Final = 1_000_000
"""Columns of what is no terminal: nothing is wrapped or cut there, so that grep and cut see whole lines."""


def is_piped() -> bool:
    """Whether stdout is no terminal, nor told to be taken for one: what is slow to import is not needed there."""
    return not (sys.stdout.isatty() or os.environ.get("FORCE_COLOR") or os.environ.get("TTY_COMPATIBLE"))


def console() -> Console:
    """Give a console for stdout: colours only on a terminal and without NO_COLOR, elsewhere lines of any length."""
    from rich.console import Console  # noqa: PLC0415 - a list in a pipe does not wait for it

    colour_wanted = not os.environ.get("NO_COLOR")
    out = Console(highlight=False, markup=False, emoji=False, color_system="auto" if colour_wanted else None)
    if not out.is_terminal:
        out.width = _UNBOUNDED
    return out


def paragraph(text: str) -> str:
    """Make control characters of a text visible as escapes; line ends stay.

    Args:
        text: anything that was recorded.
    """
    return _CONTROLS.sub(_escape, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """As :func:`paragraph`, with line ends and tabs as escapes too.

    Args:
        text: anything that was recorded.
    """
    if text.isascii() and text.isprintable():
        return text
    return _CONTROLS.sub(_escape, text).replace("\n", "\\n").replace("\t", "\\t")


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def complain(error: object) -> None:
    """Print an error as one line on stderr.

    Args:
        error: whose text it is.
    """
    print(f"timetracer: {one_line(scratch.named(str(error)))}", file=sys.stderr)  # noqa: T201 - the command speaks to its user


def tell(left_out: Collection[object]) -> None:
    """Name files that were left out; then the command ends with status 2.

    Args:
        left_out: their errors.
    """
    for error in left_out:
        complain(f"left out: {error}")
    if left_out:
        sys.exit(2)


def write_array(items: Iterable[dict[str, Any]]) -> None:
    """Write a JSON array to stdout, an object a line.

    Args:
        items: JSON-like; taken one at a time.
    """
    separator = "[\n"
    for item in items:
        sys.stdout.write(separator + _on_one_line(item))
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def write_line(item: dict[str, Any]) -> None:
    """Write a JSON object to stdout, on a line of its own.

    Args:
        item: JSON-like.
    """
    sys.stdout.write(_on_one_line(item) + "\n")


def flush() -> None:
    """Let the reader of stdout have what was written."""
    sys.stdout.flush()


def write_lanes(files: Sequence[str], lanes: Iterable[tuple[dict[str, Any], Iterable[dict[str, Any]]]]) -> None:
    """Write ``{"files": …, "lanes": [{…, "spans": […]}]}`` to stdout, a span at a time.

    Args:
        files: their names.
        lanes: all but the spans of each, and these.
    """
    write = sys.stdout.write
    write(f'{{"files": {_dumps(list(files))},\n"lanes": [')
    for number, (head, spans) in enumerate(lanes):
        write(",\n" if number else "\n")
        write(_dumps(head)[:-1] + ', "spans": ')
        write_array(spans)
        write("}")
    write("\n]}\n")


def write_object(item: dict[str, Any]) -> None:
    """Write a JSON object to stdout.

    Args:
        item: JSON-like.
    """
    sys.stdout.write(_dumps(item, indent=2) + "\n")


def _on_one_line(item: dict[str, Any]) -> str:
    """As :func:`_dumps`, in a fifth of the time for what is ASCII anyway."""
    try:
        encoded = orjson.dumps(item)
    except TypeError:
        return _dumps(item)
    return encoded.decode() if encoded.isascii() else _dumps(item)


def _dumps(item: object, indent: int | None = None) -> str:
    """Encode as ASCII, which no terminal acts upon and every encoding has."""
    return json.dumps(item, indent=indent, ensure_ascii=True, allow_nan=False)
