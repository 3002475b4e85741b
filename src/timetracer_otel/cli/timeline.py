"""``timetracer timeline``: when each span of a lane began and ended, as bars below one another."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from rich.text import Text

from timetracer_otel.cli.describing import title
from timetracer_otel.cli.output import console, one_line
from timetracer_otel.cli.style import milliseconds

__all__ = ["as_html", "print_timeline"]

_LONGEST_NAME: Final = 40
_SHORTEST_BAR: Final = 20
_WIDTH_ELSEWHERE: Final = 100
"""Columns of what is no terminal."""
_FRAME: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 14px system-ui, sans-serif; margin: 2em; }}
div.row {{ display: flex; }} div.row:hover {{ background: #eef; }}
div.name {{ width: 24em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }}
div.room {{ flex: 1; position: relative; height: 1.3em; }}
div.bar {{ position: absolute; height: 1em; min-width: 2px; background: #5b8def; }}
div.bar.error {{ background: #d9534f; }}
div.time {{ width: 6em; text-align: right; }}
</style></head><body><h1>{title}</h1>
{rows}
</body></html>
"""
_ROW: Final = (
    '<div class="row" title="{name}"><div class="name">{name}</div><div class="room">'
    '<div class="bar{error}" style="left:{left:.3f}%;width:{width:.3f}%"></div></div>'
    '<div class="time">{time}</div></div>'
)


def _spans(lane: dict[str, Any]) -> tuple[list[dict[str, Any]], float]:
    """The spans in order of start, and the milliseconds from the first start to the last end."""
    spans = sorted(lane["spans"], key=lambda span: (span["offset_ms"], -span["duration_ms"]))
    return spans, max((span["offset_ms"] + span["duration_ms"] for span in spans), default=0.0) or 1.0


def print_timeline(lane: dict[str, Any]) -> None:
    """Print a lane: a line for each span, with its bar.

    Args:
        lane: as :func:`describing.describe` gives it.
    """
    out = console()
    spans, total = _spans(lane)
    width = out.width if out.is_terminal else _WIDTH_ELSEWHERE
    longest = min(max((len(one_line(span["name"])) for span in spans), default=0), _LONGEST_NAME)
    room = max(width - longest - 12, _SHORTEST_BAR)
    out.print(Text(one_line(title(lane)), "bold").append(f"  {milliseconds(total)}", "dim"))
    for span in spans:
        start = min(int(span["offset_ms"] / total * room), room - 1)
        length = min(max(round(span["duration_ms"] / total * room), 1), room - start)
        name = Text(one_line(span["name"]))
        name.truncate(longest, overflow="ellipsis", pad=True)
        bar = (
            Text(" " * start)
            .append("█" * length, "red" if span["error"] else "blue")
            .append(" " * (room - start - length))
        )
        out.print(Text.assemble(name, " ", bar, f" {milliseconds(span['duration_ms']):>9}"), soft_wrap=True)


def as_html(lane: dict[str, Any]) -> str:
    """Give a lane as a page that stands alone.

    Args:
        lane: as for :func:`print_timeline`.
    """
    spans, total = _spans(lane)
    rows = (
        _ROW.format(
            name=escape(one_line(span["name"])),
            error=" error" if span["error"] else "",
            left=span["offset_ms"] / total * 100,
            width=span["duration_ms"] / total * 100,
            time=milliseconds(span["duration_ms"]),
        )
        for span in spans
    )
    return _FRAME.format(title=escape(one_line(title(lane))), rows="\n".join(rows))
