"""What the launcher tells the processes of a replay about its debugger, by one environment variable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Final, Self

import orjson

from timetracer_otel.errors import ConfigError

__all__ = ["PORT", "VARIABLE", "Settings", "parse"]

VARIABLE: Final = "TIMETRACER_REPLAY_DEBUG"
PORT: Final = 5678
"""Where debugpy listens unless it is told otherwise, and so what editors propose."""
_HIGHEST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Settings:
    """A debugger, and what it is to look at.

    Attributes:
        kind: ``pdb`` or ``dap``.
        lane: the id of the recorded lane; empty for a script.
        break_at: the id of a recorded call before whose line to stop; empty for none.
        door: the socket at which the launcher waits for what is debugged by DAP.
    """

    kind: str
    lane: str = ""
    break_at: str = ""
    door: str = ""

    def as_text(self) -> str:
        """As the variable's value."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self | None:
        """Read an environment; None when nothing is debugged.

        Args:
            environ: of a process of the replay.
        """
        text = environ.get(VARIABLE)
        return cls(**orjson.loads(text)) if text else None


def parse(text: str) -> tuple[str, int]:
    """Read ``--debug pdb | dap[:PORT]``.

    Args:
        text: the option's value.

    Returns:
        The kind of debugger, and the port at which a client of DAP finds it.

    Raises:
        ConfigError: it is neither, or debugpy is missing.
    """
    kind, colon, port = text.partition(":")
    if text == "pdb":
        return kind, PORT
    is_port = not colon or (port.isdecimal() and int(port) <= _HIGHEST_PORT)
    if kind != "dap" or not is_port:
        raise ConfigError(f"--debug {text}: give pdb, dap, or dap:PORT such as dap:{PORT}")
    if find_spec("debugpy") is None:
        raise ConfigError("--debug dap needs debugpy: pip install 'timetracer-otel[debug]', or use --debug pdb")
    return kind, int(port or PORT)
