"""A call of a database in replay: what the cassette tells it."""

from __future__ import annotations

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import CassetteError
from timetracer_otel.families.dbapi import asking, matching, rendering, told
from timetracer_otel.families.dbapi.asking import Asked
from timetracer_otel.families.dbapi.told import Told
from timetracer_otel.seams import Answer, Responder, exceptions

__all__ = ["ask", "error_of", "raise_upcoming"]


def ask(responder: Responder, asked: Asked) -> tuple[Told, BaseException | None]:
    """Find what a live call was told while it was recorded, and what it raised.

    Args:
        responder: gives the recorded calls.
        asked: the live call.

    Raises:
        ReplayMiss: nothing recorded answers it.
    """
    blind = matching.describe_blind(asked)
    answer = responder.answer(
        matching.describe(asked),
        lambda: rendering.shown(asked),
        blind,
        recording=lambda: asking.encode(spans.REQUEST, asked),
    )
    error = answer.recorded.text(spans.ERROR)
    raised = None if error is None else error_of(responder, error)
    found = _told(responder, answer)
    if found is None and raised is None:
        responder.refuse("the recording ended before this statement was answered: record it to its end")
    return (Told() if found is None else found), raised


def _told(responder: Responder, answer: Answer) -> Told | None:
    try:
        found = told.read(answer.recorded)
    except CassetteError as cause:
        responder.refuse(str(cause))
    return None if found is None else told.rebound(found, answer.bindings)


def error_of(responder: Responder, error: str) -> BaseException:
    """Make a recorded exception again; where that cannot be done, it is a miss.

    Args:
        responder: counts the miss.
        error: as it was encoded.
    """
    try:
        return exceptions.rebuilt(error)
    except CassetteError as cause:
        responder.refuse(str(cause))


def raise_upcoming(responder: Responder, asked: Asked) -> None:
    """Raise what opening a connection raised in the recording, if its turn has come in this lane.

    Args:
        responder: gives the recorded calls.
        asked: what is tried.
    """
    answer = responder.next_in_lane(matching.describe(asked))
    error = _error(answer.recorded) if answer is not None else None
    if error is not None:
        raise error_of(responder, error)


def _error(recorded: Span) -> str | None:
    return recorded.text(spans.ERROR)
