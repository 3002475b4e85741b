"""Where a run under debugpy has stopped, asked of the run itself."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any, Final

from timetracer_otel.debugging import counting
from timetracer_otel.debugging.protocol import Debuggee, Message

__all__ = ["Stop", "stop_of"]

_CALL: Final = f"__import__('{counting.__name__}', fromlist=['at']).{{}}()"


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a run has stopped.

    Attributes:
        thread: that has, as its debugger numbers it.
        frame: the innermost one, likewise.
        number: how many lines its branch had begun.
        depth: how deep the app's functions are nested; of an exception :data:`counting.OWN`, because what is shown
            are frames that it may have left.
        branch: of the lane; None when the thread does not work for the lane.
        inside: whether it stands in a library, which the last line has called.
    """

    thread: int
    frame: int
    number: int = 0
    depth: int = counting.OWN
    branch: str | None = None
    inside: bool = False

    @property
    def has_run(self) -> bool:
        """Whether the last line runs already: it raised, or has called what it stands in."""
        return self.inside or self.depth == counting.OWN

    async def resume(self, debuggee: Debuggee) -> None:
        """Let the run count on, before it goes on.

        Args:
            debuggee: the run.
        """
        if self.branch is not None:
            await _evaluated(debuggee, "resume", self.frame)


async def stop_of(debuggee: Debuggee, event: Message) -> Stop:
    """Ask where a run has stopped.

    Args:
        debuggee: the run.
        event: by which it said so.
    """
    thread = int(event["body"].get("threadId", 0))
    trace = await debuggee.ask("stackTrace", threadId=thread, startFrame=0, levels=1)
    frames = trace.get("body", {}).get("stackFrames") or [{"id": 0}]
    frame = int(frames[0]["id"])
    said = await _evaluated(debuggee, "stop", frame)
    try:
        number, depth, inside, branch = ast.literal_eval(said).split(" ", 3)
    except (ValueError, SyntaxError):
        return Stop(thread, frame)
    raised = event["body"].get("reason") == "exception"
    shown = counting.OWN if raised else int(depth)
    return Stop(thread, frame, int(number), shown, branch, inside == "1" and not raised)


async def _evaluated(debuggee: Debuggee, function: str, frame: int) -> str:
    answer: Any = await debuggee.ask("evaluate", expression=_CALL.format(function), frameId=frame, context="clipboard")
    return str(answer.get("body", {}).get("result", ""))
