"""What is known of Memcached's commands by their names.

Source: https://github.com/memcached/memcached/blob/master/doc/protocol.txt, of version 1.6.
"""

from __future__ import annotations

from typing import Final

from timetracer_otel.families.memcached.wire import Command

__all__ = ["is_read", "is_settling", "is_setup", "keys", "replies"]

_READS: Final = frozenset({"get", "gets", "me", "stats", "version", "config"})
_MANY_KEYS: Final = {"get": 1, "gets": 1, "gat": 2, "gats": 2}
"""Commands with any number of keys, and where those begin."""
_META: Final = frozenset({"ma", "md", "me", "mg", "ms"})
_ONE_KEY: Final = _META | {
    "add", "append", "cas", "decr", "delete", "incr", "prepend", "replace", "set", "touch"
}  # fmt: skip
_NO_DATA: Final = frozenset({"config", "lru_crawler", "mn", "stats", "verbosity", "version", "watch"})
_SHORTEST_SILENT: Final = {
    "add": 6, "append": 6, "cas": 7, "decr": 4, "delete": 3, "flush_all": 2, "incr": 4, "prepend": 6, "replace": 6,
    "set": 6, "touch": 4, "verbosity": 2,
}  # fmt: skip
"""How many words a command has at least of which the last is ``noreply``, and not a key."""
_CHANGES_WHAT_IT_READS: Final = (b"N", b"R", b"T", b"E", b"q")
"""Flags of ``mg`` that write, or leave a reply out."""


def is_setup(command: Command) -> bool:
    """Whether it is of the connection, not of the app: a replay makes its answer up."""
    return command.name == "quit"


def is_settling(command: Command) -> bool:
    """Whether each process asks it when it first needs what the answer tells."""
    return command.name in {"version", "config"}


def is_read(command: Command) -> bool:
    """Whether it changes nothing."""
    if command.name == "mg":
        return not any(word.startswith(_CHANGES_WHAT_IT_READS) for word in command.words[2:])
    return command.name in _READS and command.words[1:2] != [b"reset"]


def keys(command: Command) -> list[bytes] | None:
    """Give the keys that a command reads or writes; None where its name does not tell, which may be all.

    Args:
        command: its name and its arguments.
    """
    if (first := _MANY_KEYS.get(command.name)) is not None:
        return command.words[first:]
    if command.name in _ONE_KEY:
        return command.words[1:2]
    return [] if command.name in _NO_DATA else None


def replies(command: Command) -> int:
    """Say how many replies a command has: one, or none where it asks for none."""
    if command.name in _META:
        return int(b"q" not in command.words[2:])
    shortest = _SHORTEST_SILENT.get(command.name)
    return int(shortest is None or len(command.words) < shortest or command.words[-1] != b"noreply")
