"""A call of a database in replay: what the cassette tells it."""

from __future__ import annotations

from timetracer_otel import spans
from timetracer_otel.errors import CassetteError
from timetracer_otel.families import failures
from timetracer_otel.families.dbapi import asking, matching, rendering, told
from timetracer_otel.families.dbapi.asking import Asked
from timetracer_otel.families.dbapi.told import Told
from timetracer_otel.seams import Answer, Responder

__all__ = ["ask"]


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
    raised = None if error is None else failures.error_of(responder, error)
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
