"""The program under a debugger: what is debugged, found in the cassette, and told to the program's processes."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from timetracer_otel.cassette.shelf import Catalog, Shelf
from timetracer_otel.debugging.calls import call_named
from timetracer_otel.debugging.settings import VARIABLE, Settings, parse
from timetracer_otel.errors import ConfigError
from timetracer_otel.replay.arguments import Arguments

__all__ = ["check", "debugged"]

_LONGEST_ADDRESS: Final = 100
"""Bytes of a Unix socket's path: 108 on Linux, 104 on macOS."""
_SHOWN: Final = 5
"""Lanes that are named where there is more than one."""


def check(arguments: Arguments) -> None:
    """See that the options of a debugger go together.

    Args:
        arguments: of the command line.

    Raises:
        ConfigError: they do not, or the debugger is missing.
    """
    if arguments.debug is not None:
        parse(arguments.debug)
        if arguments.verifies:
            raise ConfigError("--debug goes without --verify and --learn: send the request with timetracer send")
    elif arguments.break_at is not None:
        raise ConfigError("--break-at goes with --debug: add --debug pdb or --debug dap")


@dataclass(frozen=True, slots=True)
class Debugger:
    """A debugger that waits for the program.

    Attributes:
        variables: of the environment, which the program needs besides the others.
        leave: lets go of what is debugged, because the program is to end.
    """

    variables: dict[str, str]
    leave: Callable[[], None] = lambda: None


@contextmanager
def debugged(arguments: Arguments, catalog: Catalog, folder: Path) -> Iterator[Debugger]:
    """Give the debugger while it is there; one that does nothing where none is asked for.

    Args:
        arguments: of the command line.
        catalog: what the cassettes hold.
        folder: of this replay.

    Raises:
        ConfigError: it is not one lane, or there is no such call.
    """
    if arguments.debug is None:
        yield Debugger({})
        return
    kind, port = parse(arguments.debug)
    lane = _the_lane(catalog)
    call = _call(catalog, lane, arguments.break_at) if arguments.break_at is not None else ""
    if kind == "pdb":
        yield Debugger(_variables(Settings(kind, lane, call)))
        return
    from timetracer_otel.debugging.proxy import Proxy  # noqa: PLC0415 - speaks a protocol that only an editor needs

    with _door(folder) as door, Proxy(port, door, call, lambda: os.kill(os.getpid(), signal.SIGTERM)) as proxy:
        print(f"timetracer-replay: a debugger may attach to 127.0.0.1:{port}", file=sys.stderr)  # noqa: T201 - the command speaks to its user
        yield Debugger(_variables(Settings(kind, lane, call, str(door))), proxy.close)


@contextmanager
def _door(folder: Path) -> Iterator[Path]:
    """Give the path of a socket: in a folder, or in one with a shorter name, since a socket's address has no room."""
    path = folder / "debugger"
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="timetracer-", dir="/tmp") as short:
        yield Path(short) / "debugger"


def _variables(settings: Settings) -> dict[str, str]:
    return {
        VARIABLE: settings.as_text(),
        # gunicorn kills a worker that stands at a breakpoint; what the command line says comes behind this.
        "GUNICORN_CMD_ARGS": f"--timeout 0 {os.environ.get('GUNICORN_CMD_ARGS', '')}".strip(),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _the_lane(catalog: Catalog) -> str:
    """The id of the one lane; empty of a script, which has none."""
    catalog = catalog.as_replayed()
    if len(catalog.lanes) > 1:
        named = "".join(f"\n  {lane.method} {lane.target}  {lane.files[0]}" for lane in catalog.lanes[:_SHOWN])
        raise ConfigError(f"--debug takes one lane, and here are {len(catalog.lanes)}: name one of the files{named}")
    return catalog.lanes[0].id if catalog.lanes else ""


def _call(catalog: Catalog, lane_id: str, text: str) -> str:
    lane = Shelf(catalog).lane(lane_id)
    if lane is None:
        raise ConfigError("--break-at goes with the lane of a request: a script is debugged from its first line on")
    return call_named(text, lane.calls).span_id
