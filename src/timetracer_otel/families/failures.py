"""What a recorded call raised, made again in a replay."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from weakref import WeakKeyDictionary

from timetracer_otel import seams, spans
from timetracer_otel.errors import CassetteError
from timetracer_otel.seams import Description, Lane, Responder, Runtime, exceptions

__all__ = ["Attempt", "attempt", "error_of", "raise_upcoming", "recorded"]

_KEPT: Final = 64
"""Attempts to connect of a lane that are remembered."""
_begun: WeakKeyDictionary[Lane, dict[str, deque[int]]] = WeakKeyDictionary()
"""When the attempts to connect began that have not failed, by lane and integration."""
_now = time.time_ns  # as it is now: what the app reads may be replayed


class Attempt:
    """An attempt to connect that is recorded, and has not failed yet.

    A connection that is made leaves no call, so that the failure of the next one says which were begun before it.

    Args:
        plugin: the integration's name.
        runtime: that records.
    """

    __slots__ = ("_all", "_began")

    def __init__(self, plugin: str, runtime: Runtime) -> None:
        of_lane = _begun.setdefault(seams.current_lane(runtime), {})
        self._all = of_lane.setdefault(plugin, deque(maxlen=_KEPT))
        self._began = _now()
        self._all.append(self._began)

    def forget(self) -> None:
        """Take it back: it has failed, or is the same attempt as an earlier one."""
        if self._began in self._all:
            self._all.remove(self._began)

    def before(self) -> dict[str, spans.Attribute]:
        """Say on the call of its failure which attempts were begun before it."""
        earlier = [str(began) for began in self._all if began < self._began]
        return {spans.CONNECTED: " ".join(earlier)} if earlier else {}


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
) -> Iterator[Attempt | None]:
    """Around all that a driver does to connect: its failure is recorded, and raised again in its turn.

    Args:
        plugin: the integration's name.
        description: of a connection that could not be made.
        mark: the attribute that says so of a call.
        named: names the span of such a call.

    Yields:
        the attempt, while calls are recorded.
    """
    responder = seams.responder(plugin)
    if responder is not None:
        raise_upcoming(responder, description)
        yield None
        return
    with recorded(plugin, {mark: True}, named) as going:
        yield going


@contextmanager
def recorded(
    plugin: str, attributes: Mapping[str, spans.Attribute], named: tuple[str, Mapping[str, spans.Attribute]]
) -> Iterator[Attempt | None]:
    """As :func:`attempt`, where nothing is replayed.

    Args:
        plugin: the integration's name.
        attributes: of the call of a failure.
        named: names the span of that call.

    Yields:
        the attempt; None where nothing is recorded.
    """
    runtime = seams.active()
    if runtime is None:
        yield None
        return
    token = seams.live_io.set(True)
    going = Attempt(plugin, runtime)
    try:
        yield going
    except BaseException as error:
        if isinstance(error, Exception):
            _record_failure(plugin, {**attributes, **going.before()}, named, error)
        going.forget()
        raise
    finally:
        seams.live_io.reset(token)


def _record_failure(
    plugin: str,
    attributes: Mapping[str, spans.Attribute],
    named: tuple[str, Mapping[str, spans.Attribute]],
    error: Exception,
) -> None:
    call = seams.start(plugin, lambda: named)
    if call is None:
        return
    try:
        call.attributes |= attributes
        call.fail(error)
        call.end()
    except Exception as fault:  # noqa: BLE001 - recording never breaks the app
        call.lose(f"{plugin}.connect", fault)
