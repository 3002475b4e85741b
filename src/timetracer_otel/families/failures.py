"""What a recorded call raised, made again in a replay."""

from __future__ import annotations

from timetracer_otel import spans
from timetracer_otel.errors import CassetteError
from timetracer_otel.seams import Description, Responder, exceptions

__all__ = ["error_of", "raise_upcoming"]


def error_of(responder: Responder, error: str) -> BaseException:
    """Make a recorded exception again; where that cannot be done, it is a miss.

    Args:
        responder: counts the miss.
        error: as it was encoded.

    Raises:
        ReplayMiss: it cannot be made again.
    """
    try:
        return exceptions.rebuilt(error)
    except CassetteError as cause:
        responder.refuse(str(cause))


def raise_upcoming(responder: Responder, description: Description) -> None:
    """Raise what a call raised before it asked anything, such as a connection, if its turn has come in this lane.

    Args:
        responder: gives the recorded calls.
        description: of the call.
    """
    answer = responder.next_in_lane(description)
    error = None if answer is None else answer.recorded.text(spans.ERROR)
    if error is not None:
        raise error_of(responder, error)
