"""A blob that is open for reading and writing: its content passes through calls of its connection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Self

from timetracer_otel.families.dbapi.recorded_link import RecordedLink
from timetracer_otel.families.dbapi.replayed_link import ReplayedLink
from timetracer_otel.families.dbapi.typed import plain

__all__ = ["Blob"]


class Blob:
    """Stands for a blob of a module whose class cannot be derived from.

    Args:
        connection: that opened it.
        link: of the connection.
        blob: the real one; in a replay one of the same length without the content.
        place: table, column and row.
    """

    def __init__(self, connection: Any, link: RecordedLink | ReplayedLink, blob: Any, place: tuple[Any, ...]) -> None:
        self._connection = connection
        self._link = link
        self._blob = blob
        self._place = place

    @property  # type: ignore[misc]  # it can be set of other objects
    def __class__(self) -> Any:
        """Give the class that isinstance asks for."""
        return type(self._blob)

    def _call(self, operation: str, parameters: list[Any], go: Callable[[], Any]) -> Any:
        """Move bytes. In a replay the blob checks first, so that a wrong use fails as it would."""
        call = partial(
            self._link.call, self._connection, operation, [plain(value) for value in (*self._place, *parameters)], go
        )
        if not isinstance(self._link, ReplayedLink):
            return call()
        before = self._blob.tell()
        go()
        try:
            return call()
        except BaseException:
            self._blob.seek(before)
            raise

    def read(self, *args: Any) -> Any:
        """Read from where the blob is."""
        length = args[0] if args and isinstance(args[0], int) and args[0] >= 0 else None
        return self._call("blob read", [self._blob.tell(), length], partial(self._blob.read, *args))

    def write(self, *args: Any) -> None:
        """Write where the blob is."""
        self._call("blob write", [self._blob.tell(), *args], partial(self._blob.write, *args))

    def __getitem__(self, key: Any) -> Any:
        return self._call("blob read", [str(key)], partial(self._blob.__getitem__, key))

    def __setitem__(self, key: Any, value: Any) -> None:
        self._call("blob write", [str(key), value], partial(self._blob.__setitem__, key, value))

    def __delitem__(self, key: Any) -> None:
        del self._blob[key]  # the module says what is wrong

    __iter__ = None

    def __len__(self) -> int:
        return len(self._blob)

    def __enter__(self) -> Self:
        self._blob.__enter__()
        return self

    def __exit__(self, *args: object) -> Any:
        return self._blob.__exit__(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blob, name)
