"""Values as the database holds them, seen below the functions of the app that make others of them.

Such a function (a converter, a factory of texts) is wrapped: it notes what it was given while a row is fetched. A value
of the row that *is* what the function returned is then known by what it was made of.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from timetracer_otel.families.dbapi.typed import Converted, Text

__all__ = ["converting", "fetched", "texts", "underlying"]

Note: TypeAlias = tuple[object, "Converted | Text"]


class _Fetching(threading.local):
    notes: list[Note] | None = None


_fetching = _Fetching()
_wrapping = threading.Lock()
_wrapped_by = 0
"""How many statements are being prepared whose converters must be ours."""


class _Noting:
    """A function of the app that notes what it is given.

    Args:
        function: the app's.
        note: makes what stands for its result.
    """

    __slots__ = ("function", "note")

    def __init__(self, function: Callable[[bytes], Any], note: Callable[[bytes], Converted | Text]) -> None:
        self.function = function
        self.note = note

    def __call__(self, raw: bytes) -> Any:
        made = self.function(raw)
        if _fetching.notes is not None:
            _fetching.notes.append((made, self.note(raw)))
        return made


def texts(factory: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Give a factory of texts that notes what it is given.

    Args:
        factory: the app's.
    """
    return _Noting(factory, Text)


@contextmanager
def converting(converters: MutableMapping[str, Callable[[bytes], Any]]) -> Iterator[None]:
    """Let a statement that is prepared inside take converters which note what they are given.

    Args:
        converters: the database module's own, by name; afterwards as they were.
    """
    global _wrapped_by  # noqa: PLW0603 - as are the converters, of the process
    with _wrapping:
        _wrapped_by += 1
        for name, function in list(converters.items()):
            if not isinstance(function, _Noting):
                converters[name] = _Noting(function, _as_converted(name))
    try:
        yield
    finally:
        with _wrapping:
            _wrapped_by -= 1
            for name, function in list(converters.items()) if not _wrapped_by else ():
                if isinstance(function, _Noting):
                    converters[name] = function.function


def _as_converted(name: str) -> Callable[[bytes], Converted]:
    return lambda raw: Converted(name, raw)


def fetched(fetch: Callable[[], Any]) -> tuple[Any, list[Note]]:
    """Fetch rows, and give what was noted meanwhile in this thread.

    Args:
        fetch: does it.
    """
    before = _fetching.notes
    notes: list[Note] = []
    _fetching.notes = notes
    try:
        return fetch(), notes
    finally:
        _fetching.notes = before


def underlying(rows: Iterable[tuple[Any, ...]], notes: list[Note]) -> list[tuple[Any, ...]]:
    """Give rows as the database holds them.

    Args:
        rows: as they were fetched.
        notes: of the same fetch: in the order of the values that they stand for.
    """
    waiting = iter([*notes, (_NOTHING, Text(b""))])
    made, stands = next(waiting)
    whole: list[tuple[Any, ...]] = []
    for row in rows:
        values = list(row)
        for number, value in enumerate(row):
            if value is made:
                values[number] = stands
                made, stands = next(waiting)
        whole.append(tuple(values))
    return whole


_NOTHING = object()
