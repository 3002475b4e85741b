"""Every error this package raises, in one tree.

    TimetracerError
    ├── ConfigError            a setting or a command line is wrong
    ├── CassetteError          a cassette cannot be read or written
    ├── IntegrationError       a library is not one that we can patch
    ├── ReplayMiss             a live call that no recorded call answers
    └── OutboundRefused        a connection that nothing in the replay owns (also a ConnectionRefusedError)

A message says what happened, where, and what to do about it.
"""

from __future__ import annotations

from os import PathLike

__all__ = [
    "CassetteError",
    "ConfigError",
    "IntegrationError",
    "OutboundRefused",
    "ReplayMiss",
    "TimetracerError",
    "in_words",
]


class TimetracerError(Exception):
    """The root of the tree: catch this to catch anything of ours."""


class ConfigError(TimetracerError):
    """A setting, an argument or a command line is wrong."""


class IntegrationError(TimetracerError):
    """A library that was asked for by name is missing, or is a version that we cannot patch."""


class CassetteError(TimetracerError):
    """A cassette cannot be read or written.

    Args:
        message: what is wrong and what to do about it.
        file: the cassette.
        line: 1-based line in the file, when the fault is in one line.
    """

    def __init__(self, message: str, *, file: str | PathLike[str] | None = None, line: int | None = None) -> None:
        self.file = None if file is None else str(file)
        self.line = line
        place = "" if self.file is None else self.file + (f", line {line}" if line is not None else "") + ": "
        super().__init__(place + message)


class ReplayMiss(TimetracerError):  # noqa: N818 - "miss" is the field's word, and what the reports say
    """A live call that no recorded call answers. It is remembered even when the app swallows it."""


class OutboundRefused(TimetracerError, ConnectionRefusedError):  # noqa: N818 - reads as the event that it is
    """A replayed process tried to reach the network, and no responder owns that connection."""


def in_words(error: OSError) -> str:
    """Say what the system refused, as messages of ours do: where, then what.

    Args:
        error: that a command met, such as of a file that it was to write.
    """
    what = error.strerror or str(error)
    return what if error.filename is None else f"{error.filename}: {what}"
