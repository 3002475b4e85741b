"""Whose the items of a queue are: noted beside it by the items' identities, since the app may look into its queues."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final
from weakref import ReferenceType, ref

from timetracer_otel.seams.lanes import Branch

__all__ = ["Notes"]

_MOST_LENT: Final = 256


class Notes:
    """Whose the items of one queue are.

    Args:
        items: that are in it already; nobody knows whose.
    """

    __slots__ = ("_lent", "_size", "_whose")

    def __init__(self, items: Iterable[Any] = ()) -> None:
        self._size = 0
        self._whose: dict[int, deque[Branch | None]] = {}
        self._lent: dict[int, ReferenceType[Any]] = {}
        for item in items:
            self._add(item, None)
            self._size += 1

    def put(self, item: Any, branch: Branch | None, size: int | None = None) -> None:
        """Take note of an item.

        Args:
            item: that is put in.
            branch: of the work that it stands for; None for nobody's.
            size: of the queue with the item; None where items leave it in no other way than by being taken.
        """
        self._expect(size, 1)
        self._add(item, None if self._was_lent(item) else branch)

    def take(self, item: Any, size: int | None = None) -> Branch | None:
        """Give whose an item was.

        Args:
            item: that was taken out.
            size: of the queue without the item; None as for :meth:`put`.
        """
        self._expect(size, -1)
        whose = self._whose.get(id(item))
        if whose is None:
            return None
        branch = whose.popleft()
        if not whose:
            del self._whose[id(item)]
        return branch

    def lend(self, item: Any) -> None:
        """Take note that an item was taken that is no work: it may come back."""
        try:
            mark = ref(item)
        except TypeError:  # numbers, texts, tuples
            return
        if len(self._lent) >= _MOST_LENT:
            self._lent.clear()
        self._lent[id(item)] = mark

    def _was_lent(self, item: Any) -> bool:
        mark = self._lent.pop(id(item), None)
        return mark is not None and mark() is item

    def _expect(self, size: int | None, more: int) -> None:
        """Forget everything where the app has emptied or filled the queue in ways of its own."""
        if size is not None:
            if size != self._size + more:
                self._whose.clear()
            self._size = size

    def _add(self, item: Any, branch: Branch | None) -> None:
        whose = self._whose.get(id(item))
        if whose is None:
            self._whose[id(item)] = deque((branch,))
        else:
            whose.append(branch)
