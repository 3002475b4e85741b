"""Memcached's text protocol: where commands and replies end, and what they hold.

Source: https://github.com/memcached/memcached/blob/master/doc/protocol.txt
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["END", "Command", "Item", "Replies", "commands_in", "items_in", "rewritten"]

END: Final = b"\r\n"
_SIZES: Final = {
    b"set": 4, b"add": 4, b"replace": 4, b"append": 4, b"prepend": 4, b"cas": 4, b"ms": 2,
}  # fmt: skip
"""Commands that a value follows, and which of their words is its size."""
_ITEMS: Final = {b"VALUE": 3, b"CONFIG": 3, b"VA": 1}
"""Likewise of replies."""
_ONE_OF_MANY: Final = (b"VALUE ", b"STAT ", b"ITEM ", b"PREFIX ", b"CONFIG ", b"key=", b"mg ")
"""How lines begin behind which a reply goes on, to its last line."""
_LAST: Final = frozenset({b"END", b"EN"})


@dataclass(frozen=True, slots=True)
class Command:
    """A command.

    Args:
        words: its name and its arguments.
        value: what it stores; None where it stores nothing.
    """

    words: list[bytes]
    value: bytes | None = None

    @property
    def name(self) -> str:
        """The first word."""
        return self.words[0].decode("utf-8", "replace") if self.words else ""


def commands_in(data: bytes) -> list[Command]:
    """Give the commands that a client has sent together. What is malformed is a command too: the server says so.

    Args:
        data: all of them.
    """
    found: list[Command] = []
    at = 0
    while at < len(data):
        line = data.find(END, at)
        line = len(data) if line < 0 else line
        words = data[at:line].split()
        at = line + len(END)
        size = _size(words, _SIZES)
        if size is None:
            found.append(Command(words))
        else:
            found.append(Command(words, data[at : at + size]))
            at += size + len(END)
    return found


def _size(words: list[bytes], sizes: dict[bytes, int]) -> int | None:
    place = sizes.get(words[0]) if words else None
    if place is None or len(words) <= place or not words[place].isdigit():
        return None
    return int(words[place])


class Replies:
    """Cuts what a server sends into whole replies. A long one is looked at once, however many pieces it comes in."""

    __slots__ = ("_at", "_data")

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Take what has arrived; give the replies that are whole now.

        Args:
            data: any piece.
        """
        self._data += data
        whole: list[bytes] = []
        while self._go_on():
            whole.append(bytes(memoryview(self._data)[: self._at]))
            del self._data[: self._at]
            self._at = 0
        return whole

    def rest(self) -> bytes:
        """Give what has arrived of a reply that is not whole, and forget it."""
        data = bytes(self._data)
        self._data.clear()
        self._at = 0
        return data

    def _go_on(self) -> bool:
        """Go to the end of the reply, or as far as it has come; whether that is its end."""
        while (line := self._data.find(END, self._at)) >= 0:
            first = bytes(memoryview(self._data)[self._at : line])
            behind = line + len(END)
            size = _size(first.split(), _ITEMS)
            if size is not None:
                behind += size + len(END)
                if behind > len(self._data):
                    return False
            self._at = behind
            if not first.startswith(_ONE_OF_MANY):
                return True
        return False


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a reply.

    Args:
        words: of the line.
        value: that follows it; None where none does.
        line: as it came.
    """

    words: list[bytes]
    value: bytes | None
    line: bytes

    @property
    def is_last(self) -> bool:
        """Whether it says only that the reply ends."""
        return self.line in _LAST


def items_in(reply: bytes) -> Iterator[Item]:
    """Give the lines of a reply, each with its value.

    Args:
        reply: whole, or cut.
    """
    at = 0
    while at < len(reply):
        line = reply.find(END, at)
        line = len(reply) if line < 0 else line
        first = reply[at:line]
        at = line + len(END)
        words = first.split()
        size = _size(words, _ITEMS)
        if size is None:
            yield Item(words, None, first)
        else:
            yield Item(words, reply[at : at + size], first)
            at += size + len(END)


def rewritten(reply: bytes, rewrite: Callable[[str], str]) -> bytes:
    """Give a reply with the texts in it rewritten, each value with its size.

    Args:
        reply: whole.
        rewrite: gives a text's new form; texts that are no UTF-8 stay as they are.
    """
    return b"".join(_rewritten(item, rewrite) for item in items_in(reply))


def _rewritten(item: Item, rewrite: Callable[[str], str]) -> bytes:
    if item.value is None:
        return _new(item.line, rewrite) + END
    value = _new(item.value, rewrite)
    words = [_new(word, rewrite) for word in item.words]
    words[_ITEMS[item.words[0]]] = b"%d" % len(value)
    return b" ".join(words) + END + value + END


def _new(raw: bytes, rewrite: Callable[[str], str]) -> bytes:
    try:
        return rewrite(raw.decode()).encode()
    except UnicodeDecodeError:
        return raw
