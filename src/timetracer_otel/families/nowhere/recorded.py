"""What a recorded call has a peer say: its replies one by one, after a wait where that is wanted, then its error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families import failures
from timetracer_otel.families.nowhere.dialogue import Fail, Reply, Wait
from timetracer_otel.seams import Answer, Responder

__all__ = ["failure", "replies"]

PATIENCE: Final = 5.0
"""Seconds that a call waits, beyond the recorded time, for the app to cancel it as it did in the recording."""


def _at_once() -> float:
    return 0.0


def replies(responder: Responder, answer: Answer, after: Span | None = None) -> Iterator[Reply[bytes]]:
    """Give what a peer said to a call.

    Args:
        responder: that answered.
        answer: the recorded call.
        after: of a stream, the recorded call that came before.

    Raises:
        ReplayMiss: it was not answered, or its exception cannot be made again.
    """
    recorded = answer.recorded
    if wait := responder.wait(recorded, after):
        yield Wait(wait)
    pieces = answer.replies
    yield from pieces
    if spans.ERROR in recorded.attributes:
        yield from failure(responder, recorded)
    elif not pieces:
        responder.refuse("the recording ended before this call was answered: record it to its end")


def failure(responder: Responder, recorded: Span, time_left: Callable[[], float] = _at_once) -> Iterator[Wait | Fail]:
    """Give how a recorded call failed: with the recorded exception, or by the app's giving it up.

    Args:
        responder: that answered.
        recorded: the call.
        time_left: gives the seconds that a timeout of the client's own lasts now.

    Raises:
        ReplayMiss: its exception cannot be made again, or the app does not give it up now.
    """
    error = failures.error_of(responder, recorded.text(spans.ERROR) or "")
    if isinstance(error, asyncio.CancelledError):
        yield Wait((recorded.end - recorded.start) / 1e9 + PATIENCE)
        responder.refuse("the app cancelled this call while it was recorded, and does not now: its reply is not known")
    if isinstance(error, TimeoutError):
        yield Wait(time_left())
    yield Fail(lambda: error)
