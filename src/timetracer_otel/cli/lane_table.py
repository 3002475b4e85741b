"""The table that ``timetracer list`` prints for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import Final, TypeAlias

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from timetracer_otel.cli.output import console, one_line
from timetracer_otel.cli.style import milliseconds, status_style
from timetracer_otel.cli.summary import Summary, iso

__all__ = ["print_table"]

Texts: TypeAlias = tuple[str, ...]
"""What stands in each column."""
Line: TypeAlias = tuple[Texts, Summary | None]
"""Of a lane; of none, the names of the columns."""
Cell: TypeAlias = tuple[str, str]
"""A text and its style."""
_BLOCK: Final = 500
"""Rows whose widths are looked at together."""
_HEADERS: Final = ("START (UTC)", "METHOD", "TARGET", "STATUS", "DURATION", "CALLS", "ERROR", "FILE")
_TARGET: Final = 2
_RIGHT: Final = frozenset({3, 4, 5})
_ERROR: Final = 6
_FILE: Final = 7
_GAP: Final = "  "
_SHORTEST_TARGET: Final = 16
_LONGEST_ERROR: Final = 80


def print_table(summaries: Iterable[Summary], *, has_header: bool = True) -> None:
    """Print a table for people. On a terminal too narrow for it, file and error have a line of their own.

    Columns are as wide as the widest cell until then: a table of a hundred thousand lines begins at once.

    Args:
        summaries: a row each.
        has_header: whether the names of the columns stand above.
    """
    out = console()
    widths = list(map(len, _HEADERS))
    rows = iter(summaries)
    lines: list[Line] = [(_HEADERS, None)] if has_header else []
    while lines := [*lines, *((_texts(one), one) for one in islice(rows, _BLOCK))]:
        columns = zip(*(texts for texts, _ in lines), strict=True)
        widths = [max(width, _widest(column)) for width, column in zip(widths, columns, strict=True)]
        _print_lines(out, lines, list(widths))
        lines = []


def _print_lines(out: Console, lines: Sequence[Line], widths: list[int]) -> None:
    split = out.width < sum(widths) + len(_GAP) * (len(widths) - 1)
    if split:
        rest = sum(widths[:_TARGET]) + sum(widths[_TARGET + 1 : _ERROR]) + len(_GAP) * (_ERROR - 1)
        widths[_TARGET] = min(widths[_TARGET], max(out.width - rest, _SHORTEST_TARGET))
    elif out.color_system is None and all("".join(texts).isascii() for texts, _ in lines):
        _write_plainly(out, [texts for texts, _ in lines], widths)
        return
    for texts, summary in lines:
        styles = _styles(summary)
        cells = _padded(list(zip(texts, styles, strict=True))[: _ERROR if split else None], widths)
        if split and summary is not None:
            more = [(texts[column], styles[column]) for column in (_FILE, _ERROR) if texts[column]]
            cells += [("\n    ", ""), *(part for one in more for part in (one, (_GAP, "")))][:-1]
        if out.color_system is None:
            out.file.write("".join(text for text, _ in cells) + "\n")
        else:
            out.print(Text.assemble(*cells), soft_wrap=True)


def _write_plainly(out: Console, rows: Iterable[Texts], widths: Sequence[int]) -> None:
    """A character takes one place and nothing has a colour: one template is ten times as fast."""
    *aligned, _ = (f"{{:{'>' if column in _RIGHT else '<'}{width}}}" for column, width in enumerate(widths))
    line = _GAP.join([*aligned, "{}"]) + "\n"
    out.file.writelines(line.format(*texts) for texts in rows)


def _widest(column: Iterable[str]) -> int:
    return max(map(len if "".join(column).isascii() else cell_len, column))


def _width(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def _padded(row: Sequence[Cell], widths: Sequence[int]) -> list[Cell]:
    cells: list[Cell] = []
    for column, (text, style) in enumerate(row):
        width = widths[column]
        missing = width - _width(text)
        if missing < 0:
            text, missing = set_cell_size(text, width - 1) + "…", 0  # noqa: PLW2901 - the same cell, shortened
        if column in _RIGHT:
            text = " " * missing + text  # noqa: PLW2901 - the same cell, in its column
        elif column < len(widths) - 1:
            text += " " * missing  # noqa: PLW2901 - as above
        cells += [(_GAP, ""), (text, style)] if column else [(text, style)]
    return cells


def _texts(summary: Summary) -> Texts:
    # A body that the app did not care to read is no error; `show` says so.
    error = summary.error or ("incomplete response" if "response" in (summary.incomplete or "") else "")
    texts = (
        _moment(summary.start),
        summary.method or ("session" if summary.kind == "session" else "-"),
        summary.target,
        "-" if summary.status is None else str(summary.status),
        milliseconds(summary.duration_ms),
        str(summary.calls),
        error if len(error) <= _LONGEST_ERROR else error[: _LONGEST_ERROR - 1] + "…",
        summary.file,
    )
    whole = "".join(texts)
    return texts if whole.isascii() and whole.isprintable() else tuple(map(one_line, texts))


def _styles(summary: Summary | None) -> Texts:
    """The style of each cell; None is the header."""
    if summary is None:
        return ("bold",) * len(_HEADERS)
    status = status_style(summary.kind, summary.status)
    return "", "bold", "", status, "", "", "red" if summary.error else "yellow", "dim"


def _moment(time: int) -> str:
    in_ms = time // 10**6
    return f"{_minute(in_ms // 60_000)}:{in_ms // 1000 % 60:02}.{in_ms % 1000:03}"


@lru_cache(maxsize=1024)
def _minute(minutes: int) -> str:
    return iso(minutes * 60 * 10**9)[:16].replace("T", " ")
