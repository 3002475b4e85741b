"""The command line of a Python interpreter, taken apart as the interpreter does (Python/getopt.c)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

__all__ = ["ISOLATING", "WORKER", "PythonCommand", "interpreter_of", "is_this_python", "of_this_process"]

ISOLATING: Final = frozenset("IES")
"""Flags of an interpreter that does not look for OpenTelemetry's site module."""
WORKER: Final = "from multiprocessing."
"""How the program of a child of multiprocessing begins, which stands on its command line."""
_TRACKER: Final = f"{WORKER}resource_tracker import"

_PYTHON: Final = re.compile(r"(?:python|pypy)[0-9.]*t?")
_WITH_VALUE: Final = "XW"
_LAST: Final = "mc"
_LONG_WITH_VALUE: Final = "--check-hash-based-pycs"


@dataclass(frozen=True, slots=True)
class PythonCommand:
    """A Python interpreter's command line, taken apart.

    Attributes:
        options: the interpreter's own, each with its value.
        target: what it runs: ``("-m", module)``, ``("-c", code)``, ``(script,)``, or nothing.
        arguments: the program's.
    """

    options: tuple[str, ...]
    target: tuple[str, ...]
    arguments: tuple[str, ...]

    @classmethod
    def of(cls, argv: Sequence[str]) -> Self | None:
        """Take a command line apart; None when it is not a Python's.

        Args:
            argv: the executable and its arguments.
        """
        if not argv or not _PYTHON.fullmatch(Path(argv[0]).name):
            return None
        options: list[str] = []
        rest = list(argv[1:])
        while rest and rest[0].startswith("-") and rest[0] not in ("-", "--"):
            word = rest.pop(0)
            flags, last, value = _split(word)
            if flags:
                options.append(f"-{flags}" if not word.startswith("--") else word)
            if word == _LONG_WITH_VALUE and rest:
                options.append(rest.pop(0))
            if last and last in _LAST:
                given = value or (rest.pop(0) if rest else "")
                return cls(tuple(options), (f"-{last}", given), tuple(rest))
            if last:
                options += [f"-{last}", value or (rest.pop(0) if rest else "")]
        if rest[:1] == ["--"]:
            rest.pop(0)
        return cls(tuple(options), tuple(rest[:1]), tuple(rest[1:]))

    @property
    def flags(self) -> frozenset[str]:
        """The letters of the options that take no value."""
        return frozenset("".join(one[1:] for one in self.options if _is_flags(one)))

    @property
    def asks(self) -> bool:
        """Whether it only asks the interpreter about itself."""
        return any(one.startswith(("--version", "--help")) for one in self.options)

    @property
    def tracks(self) -> bool:
        """Whether it is the process of multiprocessing that cleans up behind others: nobody asks it, it asks nobody."""
        return self.target[1:] != () and self.target[1].startswith(_TRACKER)

    def without(self, letters: frozenset[str]) -> list[str]:
        """The arguments of a command line that lacks some flags; what ``-I`` implies beside ``-E`` stays."""
        implied = ["-P", "-s"] if "I" in letters else []
        kept = []
        for one in self.options:
            if not _is_flags(one):
                kept.append(one)
            elif rest := "".join(letter for letter in one[1:] if letter not in letters):
                kept.append(f"-{rest}")
        return [*implied, *kept, *self.target, *self.arguments]


def of_this_process() -> list[str]:
    """The command line of this process; where Python is inside of another program (uWSGI), what that one says."""
    return sys.orig_argv or list(getattr(sys, "argv", ())) or [sys.executable]


def interpreter_of(executable: str) -> list[str]:
    """Give the program that runs a file, with its options: the file itself, or the one that its first line names.

    Args:
        executable: its path.
    """
    try:
        with Path(executable).open("rb") as file:
            first = file.readline(256) if file.read(2) == b"#!" else b""
    except (OSError, ValueError):
        first = b""
    words = os.fsdecode(first).split()
    return [*words, executable] if words and PythonCommand.of(words[:1]) else [executable]


def is_this_python(executable: str) -> bool:
    """Whether it is the interpreter of this process, in the same virtual environment.

    Args:
        executable: its path.
    """
    mine = Path(sys.executable)
    other = Path(os.path.abspath(executable))  # noqa: PTH100 - resolve() would leave the virtual environment
    return other == mine or (other.parent == mine.parent and _same_file(other, mine))


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _is_flags(word: str) -> bool:
    return word.startswith("-") and not word.startswith("--") and word[1:2] not in _WITH_VALUE + _LAST


def _split(word: str) -> tuple[str, str, str]:
    """The flags of a word; the option that ends it because it takes a value, and that value if it is in the word."""
    if word.startswith("--"):
        return word, "", ""
    for position, letter in enumerate(word[1:], start=1):
        if letter in _WITH_VALUE + _LAST:
            return word[1:position], letter, word[position + 1 :]
    return word[1:], "", ""
