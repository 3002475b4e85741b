"""Files of a COPY: watched while psycopg2 reads or writes them, and read or written in its place in a replay."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Copy", "WatchedFile", "read_all", "write_all"]


@dataclass(frozen=True, slots=True)
class Copy:
    """A COPY that a program asks for.

    Attributes:
        file: of the program.
        sql: the statement.
        run: has the driver copy to or from a file.
        execute: has the driver execute a statement and copy nothing.
        size: of a piece that is read.
    """

    file: Any
    sql: bytes
    run: Callable[[Any], Any]
    execute: Callable[[bytes], Any]
    size: int = 8192


def _refusal(error: BaseException) -> bytes:
    """What the driver tells the server when a file cannot be read."""
    return f"error in .read() call: {type(error).__name__} {error}".encode("utf-8", "replace")[:1023]


_NOT_READ = b"error in .read() call"


class WatchedFile:
    """Stands for a program's file, with whatever that has, and keeps what passes.

    Args:
        file: the program's.
        encode: gives the bytes of a text as they are sent.
    """

    def __init__(self, file: Any, encode: Callable[[str], bytes]) -> None:
        self._file = file
        self._encode = encode
        self.pieces: list[bytes] = []
        self.is_read = False
        self.is_used = False
        self.refused: bytes | None = None

    @property  # type: ignore[misc]  # the driver asks whether it is a file of text
    def __class__(self) -> type:
        return type(self._file)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._file, name)
        if name == "read":
            return self._reading(found)
        return self._writing(found) if name == "write" else found

    def _reading(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def watched(size: int) -> Any:
            self.is_used = self.is_read = True
            try:
                data = read(size)
            except BaseException as error:
                self.refused = _refusal(error)
                raise
            if isinstance(data, str):
                self.pieces.append(self._encode(data))
            elif isinstance(data, bytes):
                self.pieces.append(data)
            else:
                self.refused = _NOT_READ
            return data

        return watched

    def _writing(self, write: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def watched(data: Any) -> Any:
            self.is_used = True
            self.pieces.append(self._encode(data) if isinstance(data, str) else bytes(data))
            return write(data)

        return watched


def read_all(file: Any, size: int, encode: Callable[[str], bytes]) -> tuple[bytes, str]:
    """Read a file as the driver does, and give its bytes, and why it could not be read.

    Args:
        file: the program's.
        size: of a piece.
        encode: gives the bytes of a text.
    """
    pieces: list[bytes] = []
    while True:
        try:
            data = file.read(size)
        except Exception as error:  # noqa: BLE001 - whatever it is, the server is told of it
            return b"".join(pieces), _refusal(error).decode()
        if isinstance(data, str):
            data = encode(data)
        if not isinstance(data, bytes):
            return b"".join(pieces), _NOT_READ.decode()
        if not data:
            return b"".join(pieces), ""
        pieces.append(data)


def write_all(file: Any, pieces: Sequence[bytes], decode: Callable[[bytes], str]) -> None:
    """Write what was copied as the driver does.

    Args:
        file: the program's.
        pieces: one after the other.
        decode: gives the text of bytes.
    """
    is_text = isinstance(file, io.TextIOBase)
    for piece in pieces:
        file.write(decode(piece) if is_text else piece)
