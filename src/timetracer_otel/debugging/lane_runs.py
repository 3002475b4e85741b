"""One entry under the debugger, run by run: forwards under debugpy, backwards by running it again up to a place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from timetracer_otel.debugging.counting import EXACT, FIRST, Place
from timetracer_otel.debugging.protocol import Debuggee, Message
from timetracer_otel.debugging.stops import Stop, stop_of
from timetracer_otel.debugging.visits import Visit, VisitEnded
from timetracer_otel.debugging.wishes import Wishes

__all__ = ["LaneRuns"]

_OF_A_RUN = frozenset({"initialized", "terminated", "exited", "capabilities", "debugpySockets", "debugpyAttach"})
"""Events about a run, which are none about the lane."""


class LaneRuns:
    """The runs of one entry.

    Args:
        visit: the process that makes them.
        wishes: of the client.
        emit: gives an event to the client.
    """

    def __init__(self, visit: Visit, wishes: Wishes, emit: Callable[[Message], None]) -> None:
        self.visit = visit
        self.debuggee: Debuggee | None = None
        self.stop: Stop | None = None
        """Where it stands; None while it runs."""
        self.finished = asyncio.Event()
        self._wishes = wishes
        self._emit = emit
        self._passing: asyncio.Task[None] | None = None

    async def begin(self, call: str = "") -> None:
        """Begin the first run.

        Args:
            call: before whose line to stop; empty for none.

        Raises:
            VisitEnded: the process has ended.
        """
        place = await self._place_of(call) if call and self.visit.forks else None
        self._pass_on(await self._start(place, everything=True))

    async def _place_of(self, call: str) -> Place | None:
        try:
            return await self.visit.scout(call=call)
        except VisitEnded:
            self._emit(_output("the lane did not make the call to break at this time"))
            return None

    async def again(self) -> None:
        """Begin anew."""
        await self._end_run()
        await self.begin()

    async def let_go(self) -> None:
        """Leave the run alone, which goes on without a debugger; the process is done when it has ended."""
        if self._passing is not None:
            self._passing.cancel()
        if self.debuggee is not None:
            await self.debuggee.ask("disconnect", terminateDebuggee=False)
            self.debuggee.close()
        await self.visit.ended.wait()

    def why_not_back(self) -> str:
        """Why there is no way back from here; empty when there is."""
        if not self.visit.back:
            return (
                "stepping back needs Python 3.12 or newer"
                if self.visit.forks
                else "this cannot be run again: stepping back is for requests, on Linux, that no gevent server answers"
            )
        if self.stop is None:
            return "the lane runs: stop it first"
        if self.stop.branch is None:
            return "this thread does not work for the request"
        if self.visit.responding:
            return "the response has begun to leave: what the client has seen cannot be taken back"
        return ""

    async def step_back(self) -> None:
        """Go to the line before, in the same function or one that has called it."""
        stop = self._left()
        await self._end_run()
        back = [stop.branch, stop.number, stop.depth]
        await self._go_to(await self.visit.scout(back=back, inside=stop.inside), "step")

    async def reverse(self) -> None:
        """Go to the last breakpoint before, else to the first line."""
        stop = self._left()
        await self._end_run()
        now = await self._exactly(stop)
        await self._go_to(await self._last_before(stop, now) or await self._first(), "breakpoint")

    def _left(self) -> Stop:
        assert self.stop is not None  # noqa: S101 - why_not_back() was asked
        stop, self.stop = self.stop, None
        return stop

    async def _first(self) -> Place:
        return await self.visit.scout(back=["", 1, FIRST])

    async def _exactly(self, stop: Stop) -> Place:
        return await self.visit.scout(back=[stop.branch, max(stop.number, 1), EXACT])

    async def _last_before(self, stop: Stop, now: Place) -> Place | None:
        """Run with the client's breakpoints up to where it stood; give the last place where it has stopped before."""
        debuggee = await self._start(now, everything=True, muted=True)
        last: Stop | None = None
        while (event := await self._next_stop(debuggee)) is not None:
            found = await stop_of(debuggee, event)
            if found.branch == stop.branch and found.number >= stop.number:
                if found.number == stop.number and stop.has_run and self._wishes.has_breakpoint(now):
                    last = found
                break
            last = found if found.branch is not None else last
            await found.resume(debuggee)
            debuggee.ask("continue", threadId=found.thread)
        debuggee.close()
        await self.visit.kill()
        return None if last is None else await self._exactly(last)

    async def _go_to(self, place: Place, reason: str) -> None:
        debuggee = await self._start(place, everything=False)
        event = await self._next_stop(debuggee)
        if event is None:
            self._emit(_output("the lane went another way this time, and has ended"))
            self.finished.set()
            return
        self.stop = await stop_of(debuggee, event)
        await self._wishes.restore(debuggee, place)
        self._emit({**event, "body": {**event["body"], "reason": reason}})
        self._pass_on(debuggee)

    async def _start(self, place: Place | None, *, everything: bool, muted: bool = False) -> Debuggee:
        port = await self.visit.run(muted=muted)
        try:
            self.debuggee = debuggee = await Debuggee.connect(port)
        except OSError as error:
            raise VisitEnded from error
        await self._wishes.tell(debuggee, place, everything=everything)
        return debuggee

    async def _next_stop(self, debuggee: Debuggee) -> Message | None:
        while (event := await debuggee.events.get()) is not None:
            if event["event"] == "stopped":
                return event
        return None

    async def _end_run(self) -> None:
        if self._passing is not None:
            self._passing.cancel()
        if self.debuggee is not None:
            self.debuggee.close()
        await self.visit.kill()

    def _pass_on(self, debuggee: Debuggee) -> None:
        self._passing = asyncio.create_task(self._pass(debuggee))

    async def _pass(self, debuggee: Debuggee) -> None:
        """Give the client what a run says, until it ends."""
        while (event := await debuggee.events.get()) is not None:
            if event["event"] == "stopped":
                self.stop = await stop_of(debuggee, event)
            if event["event"] not in _OF_A_RUN:
                self._emit(event)
        await self.visit.ended.wait()
        self.finished.set()


def _output(text: str) -> Message:
    return {"type": "event", "event": "output", "body": {"category": "important", "output": f"timetracer: {text}\n"}}
