"""Connections to PostgreSQL that could not be made: recorded, and raised again in their turn."""

from __future__ import annotations

from timetracer_otel import seams, spans
from timetracer_otel.errors import CassetteError
from timetracer_otel.families.postgres import matching
from timetracer_otel.families.postgres.exchange import names
from timetracer_otel.seams import Responder, exceptions

__all__ = ["raise_recorded", "record_failure"]


def record_failure(plugin: str, error: Exception) -> None:
    """Record that connecting failed.

    Args:
        plugin: the integration's name.
        error: what was raised.
    """
    call = seams.start(plugin, lambda: names("", "", ("", None), kind="CONNECT"))
    if call is None:
        return
    try:
        call.attributes[matching.CONNECTING] = True
        call.fail(error)
        call.end()
    except Exception as fault:  # noqa: BLE001 - recording never breaks the app
        call.lose(f"{plugin}.connect", fault)


def raise_recorded(responder: Responder) -> None:
    """Raise what connecting raised in the recording, if its turn has come in this lane.

    Args:
        responder: gives the recorded calls.
    """
    answer = responder.next_in_lane(matching.CONNECT)
    error = None if answer is None else answer.recorded.text(spans.ERROR)
    if error is None:
        return
    try:
        made = exceptions.rebuilt(error)
    except CassetteError as cause:
        responder.refuse(str(cause))
    raise made
