"""Reading on without the files that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from os import PathLike
from pathlib import Path
from typing import TypeVar

from timetracer_otel.cassette.loading import empty
from timetracer_otel.cassette.reading import read_spans
from timetracer_otel.errors import CassetteError

__all__ = ["reading_on"]

T = TypeVar("T")


def reading_on(
    files: Iterable[str | PathLike[str]],
    read: Callable[[list[Path], Collection[Path]], T],
    left_out: list[CassetteError] | None,
) -> T:
    """Read files; when some are damaged, the others, and say which were left out.

    Args:
        files: the cassettes.
        read: reads files. Its second argument are those, absolute, that it must not read though others name them.
        left_out: gets the errors of files that were left out; None to stop at the first.

    Raises:
        CassetteError: none of the files can be read; or what is wrong is not a file's.
    """
    wanted, without = list(map(Path, files)), dict[Path, CassetteError]()
    while True:
        try:
            result = read([path for path in wanted if path.absolute() not in without], without)
        except CassetteError as error:
            here = Path(error.file or "").absolute()
            if left_out is None or here in without:
                raise
            without |= _damaged(wanted) if not without else {}
            without.setdefault(here, error.with_traceback(None))
            if not here.is_file() or all(path.absolute() in without for path in wanted):
                raise
        else:
            if left_out is not None:
                left_out += without.values()
            return result


def _damaged(files: Iterable[Path]) -> dict[Path, CassetteError]:
    """Those of many files that cannot be read: looked for at once, because each would be a reason to begin again."""
    found: dict[Path, CassetteError] = {}
    for path in files:
        try:
            if not sum(1 for _span in read_spans(path)):
                raise empty(path)
        except CassetteError as error:
            found[path.absolute()] = error.with_traceback(None)
    return found
