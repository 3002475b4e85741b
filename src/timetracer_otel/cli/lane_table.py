"""The table that ``timetracer list`` prints for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

from timetracer_otel.cli.output import console, is_piped, one_line
from timetracer_otel.cli.style import milliseconds, status_style
from timetracer_otel.cli.summary import Summary, iso

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_table"]

Column: TypeAlias = Sequence[str]
"""What stands in one, a text a line."""
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
_REST: Final = tuple(f":{second:02}" for second in range(60))
"""What stands behind a minute."""
_THOUSANDTHS: Final = tuple(f".{millisecond:03}" for millisecond in range(1000))
"""What stands behind a second."""


def print_table(summaries: Iterable[Summary], *, has_header: bool = True) -> None:
    """Print a table for people. On a terminal too narrow for it, file and error have a line of their own.

    Where that is too narrow still, as 60 columns are, the start stands there, too.
    Columns are as wide as the widest cell until then: a table of a hundred thousand lines begins at once.

    Args:
        summaries: a row each.
        has_header: whether the names of the columns stand above.
    """
    out = None if is_piped() else console()
    widths = list(map(len, _HEADERS))
    rows = iter(summaries)
    while block := list(islice(rows, _BLOCK)):
        columns = _columns(block)
        _widen(widths, columns)
        if has_header:
            _print_lines(out, [[name] for name in _HEADERS], [None], list(widths))
            has_header = False
        _print_lines(out, columns, block, list(widths))


def _print_lines(
    out: Console | None, columns: Sequence[Column], of: Sequence[Summary | None], widths: list[int]
) -> None:
    """Print lines.

    Args:
        out: the terminal; None where stdout is none, and lines may be of any length.
        columns: what stands in each.
        of: the lane of each line; of none, the names of the columns.
        widths: of the columns.
    """
    has_colours = out is not None and out.color_system is not None
    split = out is not None and out.width < sum(widths) + len(_GAP) * (len(widths) - 1)
    first = 0
    if out is not None and split:
        rest = sum(widths[:_ERROR]) - widths[_TARGET] + len(_GAP) * (_ERROR - 1)
        if out.width - rest < _SHORTEST_TARGET:
            first, rest = 1, rest - widths[0] - len(_GAP)
        widths[_TARGET] = min(widths[_TARGET], max(out.width - rest, _SHORTEST_TARGET))
    elif all("".join(column).isascii() for column in columns):
        _write_plainly(_painted(out, columns, of, widths) if out is not None and has_colours else columns, widths)
        return
    for texts, summary in zip(zip(*columns, strict=True), of, strict=True):
        styles = _styles(summary)
        shown = range(first, _ERROR if split else len(texts))
        cells = _padded([(column, texts[column], styles[column]) for column in shown], widths)
        if split and summary is not None:
            below = (*range(first), _FILE, _ERROR)
            more = [(texts[column], styles[column]) for column in below if texts[column]]
            cells += [("\n    ", ""), *(part for one in more for part in (one, (_GAP, "")))][:-1]
        if out is not None and has_colours:
            cells = [(_between(_codes(out, style), text), style) for text, style in cells]
        sys.stdout.write("".join(text for text, _ in cells) + "\n")


def _painted(
    out: Console, columns: Sequence[Column], of: Sequence[Summary | None], widths: Sequence[int]
) -> list[Column]:
    """Pad texts, and put the codes of their colours around them: ten times as fast as to have Rich print each."""
    painted: list[Column] = []
    every_style = zip(*map(_styles, of), strict=True)
    for number, (texts, width, styles) in enumerate(zip(columns, widths, every_style, strict=True)):
        cell = "%s" if number == _FILE else f"%{'' if number in _RIGHT else '-'}{width}s"
        cells = [cell % text for text in texts]
        if any(styles):
            cells = [_between(_codes(out, style), text) for style, text in zip(styles, cells, strict=True)]
        painted.append(cells)
    return painted


@lru_cache
def _codes(out: Console, style: str) -> tuple[str, str]:
    """What begins a style on a terminal, and what ends it; nothing of none."""
    with out.capture() as captured:
        out.print("|", style=style, end="", markup=False, highlight=False)
    before, _, after = captured.get().partition("|")
    return before, after


def _between(codes: tuple[str, str], text: str) -> str:
    return f"{codes[0]}{text}{codes[1]}" if text else ""


def _write_plainly(columns: Iterable[Column], widths: Sequence[int]) -> None:
    """A character takes one place and nothing has a colour: one template is ten times as fast."""
    *aligned, _ = (f"%{'' if column in _RIGHT else '-'}{width}s" for column, width in enumerate(widths))
    line = _GAP.join([*aligned, "%s"]) + "\n"
    sys.stdout.write("".join([line % texts for texts in zip(*columns, strict=True)]))


def _widen(widths: list[int], columns: Iterable[Column]) -> None:
    """Make room for the widest cell of each column."""
    for number, column in enumerate(columns):
        width = len if "".join(column).isascii() else _width
        widths[number] = max(widths[number], max(map(width, column), default=0))


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 - few texts need it

    return cell_len(text)


def _shortened(text: str, width: int) -> str:
    from rich.cells import set_cell_size  # noqa: PLC0415 - as above

    return set_cell_size(text, width - 1) + "…"


def _padded(row: Iterable[tuple[int, str, str]], widths: Sequence[int]) -> list[Cell]:
    cells: list[Cell] = []
    for column, text, style in row:
        width = widths[column]
        missing = width - _width(text)
        if missing < 0:
            text, missing = _shortened(text, width), 0  # noqa: PLW2901 - the same cell
        if column in _RIGHT:
            text = " " * missing + text  # noqa: PLW2901 - the same cell, in its column
        elif column < len(widths) - 1:
            text += " " * missing  # noqa: PLW2901 - as above
        cells += [(_GAP, ""), (text, style)] if cells else [(text, style)]
    return cells


def _columns(summaries: Sequence[Summary]) -> list[Column]:
    """The texts of some lanes, a column at a time: thrice as fast as a row at a time."""
    columns = (
        [_moment(one.start) for one in summaries],
        [one.method or ("session" if one.kind == "session" else "-") for one in summaries],
        [one.target for one in summaries],
        ["-" if one.status is None else str(one.status) for one in summaries],
        [milliseconds(max(one.end - one.start, 0) / 1e6) for one in summaries],
        [str(one.calls) for one in summaries],
        [_error(one) if one.error or one.incomplete else "" for one in summaries],
        [one.file for one in summaries],
    )
    return [column if _is_plain("".join(column)) else list(map(one_line, column)) for column in columns]


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _error(summary: Summary) -> str:
    # A body that the app did not care to read is no error; `show` says so.
    error = summary.error or ("incomplete response" if "response" in (summary.incomplete or "") else "")
    return error if len(error) <= _LONGEST_ERROR else error[: _LONGEST_ERROR - 1] + "…"


def _styles(summary: Summary | None) -> tuple[str, ...]:
    """The style of each cell; None is the header."""
    if summary is None:
        return ("bold",) * len(_HEADERS)
    status = status_style(summary.kind, summary.status)
    return "", "bold", "", status, "", "", "red" if summary.error else "yellow", "dim"


def _moment(time: int) -> str:
    minutes, in_ms = divmod(time // 1_000_000, 60_000)
    return _minute(minutes) + _REST[in_ms // 1000] + _THOUSANDTHS[in_ms % 1000]


@lru_cache(maxsize=1024)
def _minute(minutes: int) -> str:
    return iso(minutes * 60 * 10**9)[:16].replace("T", " ")
