"""The course of an answer: which packet of it means what, and when it is at its end."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Final

from timetracer_otel.families.mysql import wire
from timetracer_otel.families.mysql.wire import LONGEST, Packet

__all__ = ["CHANGE_USER", "Course", "Following", "Kind", "follow", "is_silent"]

INIT_DB, QUERY, FIELD_LIST, STATISTICS, CHANGE_USER, PREPARE, LONG_DATA, CLOSE = 2, 3, 4, 9, 17, 22, 24, 25
"""Commands of a client whose answers have a form of their own, or that have none."""
MORE_RESULTS: Final = 0x0008
_SILENT: Final = frozenset({1, LONG_DATA, CLOSE})
_OK, _NULL, _EOF, _ERROR = 0x00, 0xFB, 0xFE, 0xFF
_PROGRESS: Final = b"\xff\xff"
"""The number of what looks like an error and tells how far the server is."""
_SHORT: Final = 9
"""What begins like an end of rows and is as long as this is a row."""
_HEAD: Final = 600
"""Bytes of a packet that say all: an error is no longer."""
_HEADER: Final = 4


class Kind(Enum):
    """What a packet is."""

    DONE = auto()
    ERROR = auto()
    FILE = auto()
    COUNT = auto()
    COLUMN = auto()
    END = auto()
    ROW = auto()
    TEXT = auto()
    SWITCH = auto()
    PREPARED = auto()


class Course:
    """Follows an answer packet by packet.

    Args:
        command: that is answered.

    Attributes:
        status: flags of the connection that the server said last; None before it did.
        warnings: how many it spoke of.
        error: the packet of an error.
        ended: whether the answer is at its end.
        wants_file: whether the client is to send a file now.
    """

    __slots__ = ("_command", "_counts", "_left", "_place", "ended", "error", "status", "wants_file", "warnings")

    def __init__(self, command: int) -> None:
        self._command = command
        self._place = Kind.COLUMN if command == FIELD_LIST else Kind.DONE
        self._left = -1 if command == FIELD_LIST else 0
        self._counts: list[int] = []
        self.status: int | None = None
        self.warnings = 0
        self.error: bytes | None = None
        self.ended = command in _SILENT
        self.wants_file = False

    def take(self, head: bytes, size: int) -> Kind:
        """Take the next packet.

        Args:
            head: its payload, or the beginning of a long one.
            size: of the payload.
        """
        if self._place is Kind.ROW:
            first = head[0] if size else 0
            if first < _EOF or (first == _EOF and size >= _SHORT):
                return Kind.ROW
        elif self._place is Kind.DONE:
            return self._begins(head, size)
        if size and head[0] == _ERROR:
            return self._fails(head)
        if size and head[0] == _EOF and size < _SHORT:
            return self._parts(head)
        self._left -= 1
        return Kind.COLUMN

    def _begins(self, head: bytes, size: int) -> Kind:
        first = head[0] if size else _OK
        if first == _ERROR:
            return self._fails(head)
        if self._command == STATISTICS:
            self.ended = True
            return Kind.TEXT
        if first == _OK:
            return self._prepared(head) if self._command == PREPARE else self._done(head)
        if first == _NULL:
            self.wants_file = True
            return Kind.FILE
        if first == _EOF:
            return self._switches(head, size)
        self._place = Kind.COLUMN
        return Kind.COUNT

    def _done(self, head: bytes) -> Kind:
        said = wire.done(head)
        self.warnings += said.warnings
        self._goes_on(said.status)
        return Kind.DONE

    def _switches(self, head: bytes, size: int) -> Kind:
        if self._command == CHANGE_USER:
            return Kind.SWITCH
        if size < _SHORT and size > 1:
            self.status = wire.eof_status(head)[0]
        self.ended = True
        return Kind.END

    def _prepared(self, head: bytes) -> Kind:
        columns, parameters = (int.from_bytes(head[at : at + 2], "little") for at in (5, 7))
        self._counts = [count for count in (parameters, columns) if count]
        self.ended = not self._counts
        self._place = Kind.COLUMN
        return Kind.PREPARED

    def _fails(self, head: bytes) -> Kind:
        if head[1:3] == _PROGRESS:
            return Kind.TEXT
        self.error, self.ended = head, True
        return Kind.ERROR

    def _parts(self, head: bytes) -> Kind:
        """Take the end of the columns, or of the rows."""
        status, warnings = wire.eof_status(head)
        if self._command == PREPARE:
            self._counts.pop()
            self.ended = not self._counts
        elif self._place is Kind.COLUMN and self._command != FIELD_LIST:
            self._place = Kind.ROW
        else:
            self.warnings += warnings
            self._goes_on(status)
        return Kind.END

    def _goes_on(self, status: int) -> None:
        self.status = status
        self.ended = not status & MORE_RESULTS
        self._place = Kind.DONE

    def is_row(self, data: bytes, start: int, size: int) -> bool:
        """Whether a packet is a row for certain, of which nothing is to be taken.

        Args:
            data: that it is in.
            start: where its payload begins.
            size: of that.
        """
        return self._place is Kind.ROW and size > 0 and data[start] < _EOF

    def sent_file(self) -> None:
        """Take that the client has sent the file to its end."""
        self.wants_file = False


class Following:
    """Follows an answer that comes piece by piece, without copying it.

    Args:
        course: of the answer.
    """

    __slots__ = ("_continues", "_head", "_missing", "_rest", "_size", "course")

    def __init__(self, course: Course) -> None:
        self.course = course
        self._rest = b""
        self._head = b""
        self._size = self._missing = 0
        self._continues = False

    def feed(self, data: bytes) -> None:
        """Take what arrived.

        Args:
            data: all that arrived at once.
        """
        at = 0
        if self._missing:
            at = min(self._missing, len(data))
            self._missing -= at
            if self._missing:
                return
            self._take(self._head, self._size)
        elif self._rest:
            data, self._rest = self._rest + data, b""
        end = len(data)
        while end - at >= _HEADER:
            size = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            start = at + _HEADER
            at = start + size
            if at <= end:
                if size == LONGEST or self._continues or not self.course.is_row(data, start, size):
                    self._take(data[start : min(at, start + _HEAD)], size)
            elif end - start >= _HEAD:
                self._head, self._size, self._missing = data[start : start + _HEAD], size, at - end
                return
            else:
                at = start - _HEADER
                break
        self._rest = data[at:]

    def _take(self, head: bytes, size: int) -> None:
        if not self._continues:
            self.course.take(head, size)
        self._continues = size == LONGEST


def follow(command: int, answer: Iterator[Packet]) -> Iterator[tuple[Kind, Packet]]:
    """Say of each packet of an answer what it is.

    Args:
        command: that is answered.
        answer: the packets.
    """
    course = Course(command)
    for packet in answer:
        yield course.take(packet.payload, len(packet.payload)), packet


def is_silent(command: int) -> bool:
    """Whether a command has no answer.

    Args:
        command: of a client.
    """
    return command in _SILENT
