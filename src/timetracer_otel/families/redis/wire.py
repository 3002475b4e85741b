"""The Redis serialization protocol, versions 2 and 3: where commands and replies end, and what they hold.

Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from timetracer_otel.errors import CassetteError

__all__ = ["Command", "Replies", "commands_in", "decoded", "packed", "rewritten", "topic_of"]

Command: TypeAlias = list[bytes]
"""A command's name and its arguments."""

_BULKS: Final = frozenset(b"$=!")
_LISTS: Final = frozenset(b"*~>")
_MAP, _ATTRIBUTES = b"%|"
_END: Final = b"\r\n"
_TOPIC: Final = re.compile(rb"[*>](?P<count>\d+)\r\n\$\d+\r\n(?P<topic>[a-z]+)\r\n")


class Replies:
    """Cuts what a server sends into whole replies. A long one is looked at once, however many pieces it comes in."""

    __slots__ = ("_at", "_data", "_left")

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0
        self._left = 1

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Take what has arrived; give the replies that are whole now.

        Args:
            data: any piece.

        Raises:
            ValueError: it is not RESP.
        """
        if not self._data:  # mostly, a whole reply comes at once
            return self._cut(bytes(data))
        self._data += data
        return self._cut(self._data)

    def _cut(self, data: bytes | bytearray) -> list[bytes]:
        whole: list[bytes] = []
        start = 0
        while self._go_on(data):
            whole.append(bytes(data[start : self._at]))
            start, self._left = self._at, 1
        self._at -= start
        if data is not self._data:
            self._data += data[start:]
        elif start:
            del self._data[:start]
        return whole

    def _go_on(self, data: bytes | bytearray) -> bool:
        """Go to the end of the reply, or as far as it has come; whether that is its end."""
        at, left = self._at, self._left
        while left:
            line = data.find(_END, at)
            if line < 0:
                break
            kind, behind = data[at], line + 2
            if kind in _BULKS:
                size = int(data[at + 1 : line])
                behind += size + 2 if size >= 0 else 0
                if behind > len(data):
                    break
            elif kind in _LISTS:
                left += max(int(data[at + 1 : line]), 0)
            elif kind == _MAP:
                left += 2 * int(data[at + 1 : line])
            elif kind == _ATTRIBUTES:  # they stand before the value that they belong to
                left += 2 * int(data[at + 1 : line]) + 1
            at, left = behind, left - 1
        self._at, self._left = at, left
        return not left and bool(at)


def commands_in(data: bytes) -> list[Command]:
    """Give the commands that a client has sent together.

    Args:
        data: all of them, each an array of bulk strings.

    Raises:
        ValueError: it is something else, or cut.
    """
    found: list[Command] = []
    at = 0
    while at < len(data):
        line = data.index(_END, at)
        if data[at : at + 1] != b"*":
            raise ValueError("not a command of RESP")
        count, at = int(data[at + 1 : line]), line + 2
        command: Command = []
        for _ in range(count):
            line = data.index(_END, at)
            size, at = int(data[at + 1 : line]), line + 2
            command.append(data[at : at + size])
            at += size + 2
        found.append(command)
    if at > len(data):
        raise ValueError("the command is cut")
    return found


def packed(command: Command) -> bytes:
    """Give a command as it is sent.

    Args:
        command: its name and its arguments.
    """
    return b"*%d\r\n%b" % (len(command), b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in command))


def topic_of(reply: bytes) -> str:
    """Give the first word of a reply that is a list, such as ``message`` or ``subscribe``; empty of all others.

    Args:
        reply: whole.
    """
    match = _TOPIC.match(reply)
    return "" if match is None else match["topic"].decode()


def decoded(reply: bytes) -> Any:
    """Give what a reply says, as data for people; texts that are no UTF-8 as bytes, errors as ``{"error": …}``.

    Args:
        reply: whole.

    Raises:
        CassetteError: it is damaged.
    """
    try:
        return _Reader(reply).value()
    except (LookupError, ValueError) as error:
        raise CassetteError(f"a recorded reply of Redis cannot be read ({error}): record it again") from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def value(self) -> Any:
        kind, line = self._line()
        if kind in "$=!":
            return self._bulk(kind, int(line))
        if kind in "*~>":
            return None if line == b"-1" else [self.value() for _ in range(int(line))]
        if kind == "%":
            return {str(_plain(self.value())): self.value() for _ in range(int(line))}
        if kind == "|":
            for _ in range(2 * int(line)):
                self.value()
            return self.value()
        return _SIMPLE[kind](line)

    def _line(self) -> tuple[str, bytes]:
        end = self._data.index(_END, self._at)
        kind, line = chr(self._data[self._at]), self._data[self._at + 1 : end]
        self._at = end + 2
        return kind, line

    def _bulk(self, kind: str, size: int) -> Any:
        if size < 0:
            return None
        raw = self._data[self._at : self._at + size]
        self._at += size + 2
        if self._at > len(self._data):
            raise ValueError("it is cut")
        if kind == "!":
            return {"error": raw.decode("utf-8", "replace")}
        return _plain(raw[4:] if kind == "=" else raw)


_SIMPLE: Final[dict[str, Callable[[bytes], Any]]] = {
    ":": int,
    "(": int,
    ",": float,
    "#": lambda line: line == b"t",
    "_": lambda _line: None,
    "+": lambda line: line.decode("utf-8", "replace"),
    "-": lambda line: {"error": line.decode("utf-8", "replace")},
}
"""How the values are read that are one line."""


def _plain(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def rewritten(reply: bytes, rewrite: Callable[[str], str]) -> bytes:
    """Give a reply with the texts in it rewritten, each with its length.

    Args:
        reply: whole.
        rewrite: gives a text's new form; texts that are no UTF-8 stay as they are.
    """
    return b"".join(_rewritten(reply, rewrite))


def _rewritten(reply: bytes, rewrite: Callable[[str], str]) -> Iterator[bytes]:
    at = 0
    while at < len(reply):
        end = reply.index(_END, at)
        kind, line = reply[at : at + 1], reply[at + 1 : end]
        at = end + 2
        if kind == b"$" and line != b"-1":
            text = _new(reply[at : at + int(line)], rewrite)
            at += int(line) + 2
            yield b"$%d\r\n%b\r\n" % (len(text), text)
        elif kind in {b"=", b"!"}:
            yield kind + line + _END + reply[at : at + int(line) + 2]
            at += int(line) + 2
        else:
            yield kind + (_new(line, rewrite) if kind in {b"+", b":"} else line) + _END


def _new(raw: bytes, rewrite: Callable[[str], str]) -> bytes:
    try:
        return rewrite(raw.decode()).encode()
    except UnicodeDecodeError:
        return raw
