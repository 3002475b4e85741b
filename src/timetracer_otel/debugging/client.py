"""A client of the Debug Adapter Protocol at the launcher's port: an editor, or a script."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import metadata
from itertools import count
from typing import Any, Final

from timetracer_otel.debugging.lane_runs import LaneRuns
from timetracer_otel.debugging.protocol import LOST, Message, read, write
from timetracer_otel.debugging.visits import Visit, VisitEnded
from timetracer_otel.debugging.wishes import Wishes

__all__ = ["Client"]

_FILTERS: Final = (
    ("raised", "Raised Exceptions", False),
    ("uncaught", "Uncaught Exceptions", True),
    ("userUnhandled", "User Uncaught Exceptions", False),
)
_CAPABILITIES: Final[dict[str, Any]] = {
    **dict.fromkeys(
        (
            "supportsCompletionsRequest", "supportsConditionalBreakpoints", "supportsConfigurationDoneRequest",
            "supportsDebuggerProperties", "supportsDelayedStackTraceLoading", "supportsEvaluateForHovers",
            "supportsExceptionInfoRequest", "supportsExceptionOptions", "supportsFunctionBreakpoints",
            "supportsHitConditionalBreakpoints", "supportsLogPoints", "supportsModulesRequest",
            "supportsSetExpression", "supportsSetVariable", "supportsValueFormattingOptions",
            "supportTerminateDebuggee", "supportsTerminateRequest", "supportsGotoTargetsRequest",
            "supportsClipboardContext", "supportsStepInTargetsRequest", "supportsRestartRequest",
        ),
        True,
    ),
    "exceptionBreakpointFilters": [
        {"filter": name, "label": label, "default": default} for name, label, default in _FILTERS
    ],
}  # fmt: skip
"""Those of debugpy, and to restart."""
_RESUMING: Final = frozenset({"continue", "next", "stepIn", "stepOut", "goto"})
_WISHES: Final = frozenset({"setBreakpoints", "setExceptionBreakpoints", "setFunctionBreakpoints"})
_WAITING: Final = {"threads": [{"id": 1, "name": "waiting for the request"}]}


class Client:
    """One client, as long as it is connected.

    Args:
        reader: of its connection.
        writer: likewise.
        back: whether to offer steps back.
        end_program: ends the replayed program.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        back: bool,
        end_program: Callable[[], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._back = back
        self._end_program = end_program
        self._numbers = count(1)
        self._wishes = Wishes()
        self._runs: LaneRuns | None = None
        self.is_ready = asyncio.Event()
        """Set once it has said all that a run must know."""
        self.has_left = asyncio.Event()
        self._own: dict[str, Callable[[Message], Awaitable[None]]] = {
            "initialize": self._initialize,
            "attach": self._attach,
            "launch": self._attach,
            "configurationDone": self._configured,
            "stepBack": self._step_back,
            "reverseContinue": self._reverse,
            "restart": self._restart,
            "disconnect": self._disconnect,
            "terminate": self._disconnect,
            "debugpySystemInfo": self._system,
        }

    def end(self) -> None:
        """Tell it that the program has ended."""
        self._emit({"event": "terminated"})

    async def serve(self) -> None:
        """Do what it asks until it leaves; a run that stands then goes on."""
        try:
            while not self.has_left.is_set() and (message := await read(self._reader)) is not None:
                if message.get("type") == "request":
                    await self._take(message)
        finally:
            self.has_left.set()
            self.is_ready.set()
            self._writer.close()

    async def debug(self, visit: Visit, call: str) -> None:
        """Debug what waits at the door, until it is answered or the client leaves.

        Args:
            visit: the process.
            call: before whose line to stop; empty for none.
        """
        runs = LaneRuns(visit, self._wishes, self._emit)
        self._say(f"debugging {visit.name}")
        await runs.begin(call)
        self._runs = runs
        waits = [asyncio.create_task(event.wait()) for event in (runs.finished, self.has_left)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()
        self._runs = None
        if self.has_left.is_set():
            await runs.let_go()
        else:
            self._say(f"{visit.name} has ended")

    async def _take(self, request: Message) -> None:
        self._wishes.take(request)
        own = self._own.get(request["command"])
        runs = self._runs
        if own is not None:
            try:
                await own(request)
            except VisitEnded:
                self._say("the way back was lost: the lane did not come to that line again, and runs anew")
                await self._anew()
        elif runs is None or runs.debuggee is None:
            self._answer_alone(request)
        else:
            await self._pass(runs, request)

    async def _pass(self, runs: LaneRuns, request: Message) -> None:
        assert runs.debuggee is not None  # noqa: S101 - _take() has looked
        if request["command"] in _RESUMING and runs.stop is not None:
            stop, runs.stop = runs.stop, None
            await stop.resume(runs.debuggee)
        runs.debuggee.send(request["command"], request.get("arguments"), partial(self._pass_back, request))

    def _pass_back(self, request: Message, answer: Message) -> None:
        if answer is not LOST:
            self._write({**answer, "request_seq": request["seq"]})
        elif request["command"] in _RESUMING:  # it went on, to its end
            self._respond(request, {"allThreadsContinued": True})
        else:
            self._answer_alone(request)

    def _answer_alone(self, request: Message) -> None:
        """Answer while there is no run."""
        command = request["command"]
        if command == "threads":
            self._respond(request, _WAITING)
        elif command in _WISHES:
            lines = (request.get("arguments") or {}).get("breakpoints") or ()
            self._respond(request, {"breakpoints": [{"verified": True, "line": one.get("line")} for one in lines]})
        else:
            self._respond(request, failure="no request is under way: send it, such as with timetracer send")

    async def _initialize(self, request: Message) -> None:
        self._respond(request, {**_CAPABILITIES, "supportsStepBack": self._back})

    async def _attach(self, request: Message) -> None:
        self._respond(request)
        self._emit({"event": "initialized"})

    async def _configured(self, request: Message) -> None:
        self._respond(request)
        self._say("waiting for the request")
        self.is_ready.set()

    async def _system(self, request: Message) -> None:
        self._respond(request, {"debugpy": {"version": metadata.version("debugpy")}})

    async def _step_back(self, request: Message) -> None:
        await self._go_back(request, LaneRuns.step_back)

    async def _reverse(self, request: Message) -> None:
        await self._go_back(request, LaneRuns.reverse)

    async def _go_back(self, request: Message, go: Callable[[LaneRuns], Awaitable[None]]) -> None:
        if not self._back:
            self._respond(request, failure=NO_WAY_BACK)
        elif self._runs is None:
            self._answer_alone(request)
        elif why := self._runs.why_not_back():
            self._respond(request, failure=why)
        else:
            self._respond(request)
            await go(self._runs)

    async def _restart(self, request: Message) -> None:
        if self._runs is not None and (self._runs.visit.responding or not self._runs.visit.forks):
            self._respond(request, failure="this cannot be run again")
            return
        self._respond(request)
        await self._anew()

    async def _anew(self) -> None:
        if self._runs is not None:
            await self._runs.again()

    async def _disconnect(self, request: Message) -> None:
        ends = request["command"] == "terminate" or (request.get("arguments") or {}).get("terminateDebuggee")
        self._respond(request)
        self._emit({"event": "terminated"})
        self.has_left.set()
        if ends:
            self._end_program()

    def _say(self, text: str) -> None:
        self._emit({"event": "output", "body": {"category": "console", "output": f"timetracer: {text}\n"}})

    def _emit(self, event: Message) -> None:
        self._write({**event, "type": "event"})

    def _respond(self, request: Message, body: Message | None = None, failure: str = "") -> None:
        answer: Message = {"type": "response", "request_seq": request["seq"], "command": request["command"]}
        if failure:
            error = {"id": 1, "format": failure, "showUser": True}
            self._write({**answer, "success": False, "message": failure, "body": {"error": error}})
        else:
            self._write({**answer, "success": True, "body": body or {}})

    def _write(self, message: Message) -> None:
        if not self._writer.is_closing():
            write(self._writer, {**message, "seq": next(self._numbers)})


NO_WAY_BACK: Final = "stepping back needs Python 3.12 or newer, and Linux"
