"""Which program a command runs, and with which arguments a recorded run of it is run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from timetracer_otel.cassette.model import Lane
from timetracer_otel.redaction import MASK
from timetracer_otel.seams.command_line import PythonCommand

__all__ = ["Command", "recorded_command"]

_SERVERS = frozenset({"cheroot", "daphne", "granian", "gunicorn", "hypercorn", "uvicorn", "uwsgi", "waitress-serve"})


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, parted into a program and what it is told.

    Attributes:
        head: the program, with whatever starts it.
        name: by which the same program is known when it is started in another way.
        arguments: the program's.
    """

    head: tuple[str, ...]
    name: str
    arguments: tuple[str, ...]

    @classmethod
    def of(cls, argv: Sequence[str]) -> Self:
        """Part a command line.

        Args:
            argv: the executable and its arguments.
        """
        python = PythonCommand.of(argv)
        if python is None:
            return cls(tuple(argv[:1]), _script(argv[0]), tuple(argv[1:]))
        rest = len(python.arguments)
        name = _script(python.target[0]) if len(python.target) == 1 else " ".join(python.target)
        return cls(tuple(argv[: len(argv) - rest]), name, python.arguments)

    @property
    def serves(self) -> bool:
        """Whether it is known to start a server, which is no script even when no request was recorded of it."""
        return self.name in _SERVERS or (self.name == "flask" and "run" in self.arguments)

    @property
    def is_masked(self) -> bool:
        """Whether an argument was a secret, so that nobody knows it."""
        return any(MASK[:-1] in argument for argument in self.arguments)


def recorded_command(lane: Lane) -> Command | None:
    """How the process of a session was started; None when the recording does not say.

    Args:
        lane: the session.
    """
    argv = lane.resource.get("process.command_args")
    return Command.of([str(word) for word in argv]) if isinstance(argv, list) and argv else None


def _script(path: str) -> str:
    return Path(path).name.removesuffix(".py")
