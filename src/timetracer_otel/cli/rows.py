"""Many summaries at once, by columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from timetracer_otel.cli.summary import Summary, newest_first

__all__ = ["Rows"]

_made: Final = partial(tuple.__new__, Summary)  # as Summary._make, which is a function of Python's


class Rows:
    """Summaries, newest first, as a list for each of their parts; a row is made when it is looked at.

    A parser makes a few long lists much faster than many short ones, and of a hundred thousand rows that are looked
    at one after the other each is gone before the next.

    Args:
        columns: of each attribute of :class:`Summary` what the rows have in it, in order.

    Attributes:
        columns: the same.
    """

    __slots__ = ("columns",)

    def __init__(self, columns: Sequence[Sequence[Any]]) -> None:
        self.columns = columns

    @classmethod
    def of(cls, summaries: Iterable[Summary] = ()) -> Rows:
        """Put summaries in order.

        Args:
            summaries: in any order.
        """
        return cls(list(zip(*newest_first(summaries), strict=True)) or [()] * len(Summary._fields))

    @property
    def lane_ids(self) -> Sequence[str]:
        """Of each row the id of its lane or session."""
        return self.columns[_LANE_ID]

    def __len__(self) -> int:
        return len(self.lane_ids)

    def __iter__(self) -> Iterator[Summary]:
        return map(_made, zip(*self.columns, strict=True))


_LANE_ID: Final = Summary._fields.index("lane_id")
