"""Lines of styled text, for output of any length: rich takes a fifth of a millisecond for each that it prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain, pairwise
from typing import Final, Self

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from rich.text import Text

__all__ = ["Printer", "Styled"]

_TAB: Final = 4
_WIDEST: Final = 2
"""Columns of a character."""


class Styled:
    """Text in pieces, each with a style of rich's; empty for none.

    Args:
        pieces: of the text.
    """

    __slots__ = ("pieces",)

    def __init__(self, *pieces: tuple[str, str] | str) -> None:
        self.pieces = [(piece, "") if isinstance(piece, str) else piece for piece in pieces]

    @property
    def plain(self) -> str:
        """The text alone."""
        return "".join([text for text, _ in self.pieces])

    def append(self, text: str, style: str = "") -> Self:
        """Add a piece.

        Args:
            text: of it.
            style: likewise.
        """
        self.pieces.append((text, style))
        return self

    def extend(self, other: Styled) -> Self:
        """Add the pieces of another text.

        Args:
            other: text.
        """
        self.pieces += other.pieces
        return self

    def lines(self) -> Iterator[Styled]:
        """Its lines, each a text of its own."""
        line = Styled()
        for text, style in self.pieces:
            first, *more = text.split("\n")
            line.pieces.append((first, style))
            for part in more:
                yield line
                line = Styled((part, style))
        yield line

    def as_rich(self) -> Text:
        """The same for rich."""
        return Text.assemble(*self.pieces)


class Printer:
    """Prints styled text to a console.

    Args:
        out: from :func:`timetracer_otel.cli.output.console`.
    """

    def __init__(self, out: Console) -> None:
        self._out = out
        self.width = out.width
        self._has_colours = out.color_system is not None

    def print(self, text: Styled, before: str = "", *, wrap: bool = False) -> None:
        """Print a text and end its last line.

        Args:
            text: of one line or several.
            before: stands before each of its lines.
            wrap: whether lines that are too long for the terminal are continued behind ``before``.
        """
        for line in text.lines():
            for part in self.wrapped(line, self.width - cell_len(before)) if wrap else (line,):
                self.write(Styled(before).extend(part))

    def write(self, line: Styled) -> None:
        """Print one line.

        Args:
            line: without a line feed.
        """
        shown = "".join(map(_painted, line.pieces)) if self._has_colours else line.plain
        self._out.file.write(shown + "\n")

    def wrapped(self, line: Styled, room: int) -> Iterable[Styled]:
        """Give a line in parts that fit.

        Args:
            line: without a line feed.
            room: columns for each part.
        """
        plain = line.plain
        if "\t" not in plain and (_WIDEST * len(plain) <= room or cell_len(plain) <= room):
            return (line,)
        return map(_of_rich, line.as_rich().wrap(self._out, room, tab_size=_TAB))


def _painted(piece: tuple[str, str]) -> str:
    text, style = piece
    start, end = _codes(style)
    return f"{start}{text}{end}" if text else ""


@cache
def _codes(style: str) -> tuple[str, str]:
    """What a terminal is sent before and behind a text of a style."""
    start, _, end = Style.parse(style).render("\0", color_system=ColorSystem.STANDARD).partition("\0")
    return start, end


def _of_rich(text: Text) -> Styled:
    """The pieces of a text whose spans do not overlap, as those of :meth:`Styled.as_rich` do not."""
    marks = sorted(set(chain((0, len(text)), *((span.start, span.end) for span in text.spans))))
    styles = {span.start: str(span.style) for span in text.spans}
    plain = text.plain
    return Styled(*((plain[one:other], styles.get(one, "")) for one, other in pairwise(marks)))
