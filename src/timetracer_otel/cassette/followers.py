"""Long streams that a lane was told without asking: all but their beginning wait in a file until a replay gives them.

A subscriber may be told any number of messages. Each was recorded as a call that follows the one which opened the
stream; held in memory as other calls are, they would take two kilobytes apiece for as long as the program runs.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final

from timetracer_otel import spans as names
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import CassetteError

__all__ = ["Rest", "Sieve"]

_MORE: Final = frozenset((names.REQUEST, names.PART, names.INCOMPLETE))


class _File:
    """A file without a name, which goes with the last that reads it.

    Raises:
        CassetteError: it cannot be made.
    """

    def __init__(self) -> None:
        with _told_of_full_disk():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - see __del__
        self.end = 0

    def append(self, data: bytes) -> None:
        """Write behind what is there; readable after :meth:`flush`.

        Raises:
            CassetteError: the disk is full.
        """
        with _told_of_full_disk():
            self._file.write(data)
        self.end += len(data)

    def flush(self) -> None:
        """Let all be read that was written.

        Raises:
            CassetteError: the disk is full.
        """
        with _told_of_full_disk():
            self._file.flush()

    def read(self, start: int, end: int) -> bytes:
        """Read a part; forked processes share the file, so they must not share where it is read."""
        return os.pread(self._file.fileno(), end - start, start)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            with suppress(OSError):  # what was not flushed finds no room: nobody will read it
                self._file.close()


class Rest:
    """The part of a stream that waits in a file; each is read whenever it is asked for.

    Args:
        file: where they are written to, behind one another.
        resource: of their process.
        prepare: called with each when it is read, if given.

    Attributes:
        starts: when each began, in nanoseconds since the epoch, always later than the one before.
    """

    __slots__ = ("_ends", "_file", "_places", "_prepare", "_resource", "starts")

    def __init__(self, file: _File, resource: Mapping[str, object], prepare: Callable[[Span], object] | None) -> None:
        self._file = file
        self._resource = resource
        self._prepare = prepare
        self._places, self._ends, self.starts = array("Q"), array("Q"), array("Q")

    def append(self, span: Span) -> None:
        """Write one.

        Args:
            span: later than all that are there.

        Raises:
            CassetteError: the disk is full.
        """
        self._places.append(self._file.end)
        self._file.append(pickle.dumps(replace(span, resource={})))
        self._ends.append(self._file.end)
        self.starts.append(span.start)

    def __iter__(self) -> Iterator[Span]:
        return map(self.__getitem__, range(len(self.starts)))

    def __getitem__(self, number: int) -> Span:
        span: Span = pickle.loads(self._file.read(self._places[number], self._ends[number]))  # noqa: S301 - our own
        span.resource = self._resource
        if self._prepare is not None:
            self._prepare(span)
        return span


class Sieve:
    """Streams while their lane is read.

    Args:
        held: how many of a stream stay in memory; None for all.
        prepare: see :class:`Rest`.
    """

    def __init__(self, held: int | None, prepare: Callable[[Span], object] | None) -> None:
        self._rests: dict[str, Rest] = {}
        self._held = held
        self._prepare = prepare
        self._seen: dict[str, tuple[int, int]] = {}
        """Of each stream how many there were, and when the last began."""
        self._unordered: set[str] = set()
        self._file: _File | None = None

    def pass_on(self, spans: Iterable[Span]) -> Iterator[Span]:
        """Give the spans that are to be held.

        Args:
            spans: of the lane, or a part of them.

        Raises:
            CassetteError: the disk is full.
        """
        if self._held is None:
            yield from spans
            return
        for span in spans:
            opener = span.text(names.FOLLOWS)
            if opener is None or opener in self._unordered or not _is_alone(span):
                yield span
                continue
            count, last = self._seen.get(opener, (0, -1))
            self._seen[opener] = count + 1, span.start
            if span.start <= last:  # somebody on the way has sent some twice, or later: these are sorted in memory
                self._unordered.add(opener)
                yield from self.settle().pop(opener, ())
            elif count >= self._held:
                self._put_aside(opener, span)
                continue
            yield span

    def _put_aside(self, opener: str, span: Span) -> None:
        rest = self._rests.get(opener)
        if rest is None:
            self._file = self._file or _File()
            rest = self._rests[opener] = Rest(self._file, span.resource, self._prepare)
        rest.append(span)

    def settle(self) -> dict[str, Rest]:
        """Give what was put aside until now, by the span id of the call that opened the stream.

        Raises:
            CassetteError: the disk is full.
        """
        if self._file is not None:
            self._file.flush()
        return self._rests


def _is_alone(span: Span) -> bool:
    """Whether nothing was asked, and all that was told is in the span itself."""
    return _MORE.isdisjoint(span.attributes) and not any(name.endswith(names.PARTS) for name in span.attributes)


@contextmanager
def _told_of_full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        text = f"a long stream cannot be put into a temporary file ({error.strerror}): make room, or set TMPDIR"
        raise CassetteError(text) from error
