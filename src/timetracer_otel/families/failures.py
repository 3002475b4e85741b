"""What a recorded call raised, made again in a replay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from timetracer_otel import seams, spans
from timetracer_otel.errors import CassetteError
from timetracer_otel.seams import Description, Responder, exceptions

__all__ = ["attempt", "error_of", "raise_upcoming"]


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


@contextmanager
def attempt(
    plugin: str, description: Description, mark: str, named: tuple[str, Mapping[str, spans.Attribute]]
) -> Iterator[None]:
    """Around all that a driver does to connect: its failure is recorded, and raised again in its turn.

    Args:
        plugin: the integration's name.
        description: of a connection that could not be made.
        mark: the attribute that says so of a call.
        named: names the span of such a call.
    """
    responder = seams.responder(plugin)
    if responder is not None:
        raise_upcoming(responder, description)
    if responder is not None or seams.active() is None:
        yield
        return
    token = seams.live_io.set(True)
    try:
        yield
    except Exception as error:
        _record_failure(plugin, mark, named, error)
        raise
    finally:
        seams.live_io.reset(token)


def _record_failure(plugin: str, mark: str, named: tuple[str, Mapping[str, spans.Attribute]], error: Exception) -> None:
    call = seams.start(plugin, lambda: named)
    if call is None:
        return
    try:
        call.attributes[mark] = True
        call.fail(error)
        call.end()
    except Exception as fault:  # noqa: BLE001 - recording never breaks the app
        call.lose(f"{plugin}.connect", fault)
