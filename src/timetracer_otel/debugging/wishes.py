"""What a client of the Debug Adapter Protocol wants of every run: told once, said to each run again."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, Final

from timetracer_otel.debugging.counting import Place
from timetracer_otel.debugging.protocol import Debuggee, Message

__all__ = ["Wishes"]

_OURS: Final = str(Path(__file__).parents[1] / "**")
_LAUNCHING: Final = frozenset(
    {"connect", "listen", "host", "port", "processId", "program", "args", "module", "code", "cwd", "env", "console",
     "python", "noDebug", "restart", "stopOnEntry", "subProcess"}
)  # fmt: skip
"""Arguments about a process that somebody else starts."""


class Wishes:
    """The arguments of a client's requests."""

    def __init__(self) -> None:
        self._initialize: dict[str, Any] = {}
        self._attach: dict[str, Any] = {}
        self._files: dict[str, dict[str, Any]] = {}
        self._others: dict[str, dict[str, Any]] = {}
        self.configured = False

    def take(self, request: Message) -> None:
        """Take note of a request.

        Args:
            request: of any command.
        """
        command, arguments = request["command"], request.get("arguments") or {}
        if command == "initialize":
            self._initialize = arguments
        elif command in {"attach", "launch"}:
            self._attach = {name: value for name, value in arguments.items() if name not in _LAUNCHING}
        elif command == "setBreakpoints":
            self._files[arguments["source"]["path"]] = arguments
        elif command in {"setExceptionBreakpoints", "setFunctionBreakpoints"}:
            self._others[command] = arguments
        elif command == "configurationDone":
            self.configured = True

    async def tell(self, debuggee: Debuggee, stop: Place | None, *, everything: bool) -> None:
        """Set a run up, and let it begin.

        Args:
            debuggee: the run.
            stop: a place to stop at besides.
            everything: whether the client's breakpoints are wanted.
        """
        debuggee.ask("initialize", **self._initialize)
        rules = [*self._attach.get("rules", ()), {"path": _OURS, "include": False}]
        debuggee.ask("attach", **{"justMyCode": True, **self._attach, "rules": rules, "subProcess": False})
        if everything:
            self._ask_others(debuggee)
        files = self._with(stop) if everything else self._only(stop)
        for arguments in files.values():
            debuggee.ask("setBreakpoints", **arguments)
        await debuggee.ask("configurationDone")

    def has_breakpoint(self, place: Place) -> bool:
        """Whether the client has a breakpoint on the line of a place."""
        files = [one for path, one in self._files.items() if os.path.realpath(path) == os.path.realpath(place.file)]
        return any(one["line"] == place.line for file in files for one in file.get("breakpoints") or ())

    async def restore(self, debuggee: Debuggee, stop: Place) -> None:
        """Set the client's breakpoints in a run that has reached its place without them.

        Args:
            debuggee: the run.
            stop: the place.
        """
        self._ask_others(debuggee)
        files = {**self._emptied(stop), **self._files}
        await asyncio.gather(*(debuggee.ask("setBreakpoints", **arguments) for arguments in files.values()))

    def _ask_others(self, debuggee: Debuggee) -> None:
        for command, arguments in self._others.items():
            debuggee.ask(command, **arguments)

    def _emptied(self, stop: Place) -> dict[str, dict[str, Any]]:
        return {stop.file: {"source": {"path": stop.file}, "breakpoints": []}}

    def _only(self, stop: Place | None) -> dict[str, dict[str, Any]]:
        if stop is None:
            return {}
        return {stop.file: {"source": {"path": stop.file}, "breakpoints": [_breakpoint(stop)]}}

    def _with(self, stop: Place | None) -> dict[str, dict[str, Any]]:
        """The client's breakpoints and a place; a breakpoint on the same line is enough by itself."""
        if stop is None:
            return self._files
        wanted = self._files.get(stop.file, {"source": {"path": stop.file}, "breakpoints": []})
        lines = list(wanted.get("breakpoints") or ())
        if all(one["line"] != stop.line for one in lines):
            lines.append(_breakpoint(stop))
        return {**self._files, stop.file: {"source": wanted["source"], "breakpoints": lines}}


def _breakpoint(stop: Place) -> dict[str, Any]:
    return {"line": stop.line, "condition": stop.condition}
