"""Connections to PostgreSQL that could not be made: recorded, and raised again in their turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from timetracer_otel import seams
from timetracer_otel.families import failures
from timetracer_otel.families.postgres import matching
from timetracer_otel.families.postgres.exchange import names

__all__ = ["attempt"]


def _record_failure(plugin: str, error: Exception) -> None:
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


@contextmanager
def attempt(plugin: str) -> Iterator[None]:
    """Around all that a driver does to connect: its failure is recorded, and raised again in its turn.

    Args:
        plugin: the integration's name.
    """
    responder = seams.responder(plugin)
    if responder is not None:
        failures.raise_upcoming(responder, matching.CONNECT)
    if responder is not None or seams.active() is None:
        yield
        return
    token = seams.live_io.set(True)
    try:
        yield
    except Exception as error:
        _record_failure(plugin, error)
        raise
    finally:
        seams.live_io.reset(token)
