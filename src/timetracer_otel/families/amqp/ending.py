"""The end of a replayed program that would wait for messages for ever."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from timetracer_otel.families.amqp.deliveries import any_in_hand

__all__ = ["GRACE", "end_program"]

GRACE: Final = 0.5
"""Seconds that the program has to end by itself behind its last message."""


def end_program(call_later: Callable[[float, Callable[[], None]], object]) -> None:
    """End the program's loop as soon as it has handled its last message, unless it serves something else.

    Args:
        call_later: calls a function in that loop, after so many seconds.
    """

    def end() -> None:
        if any_in_hand():
            call_later(GRACE, end)
        elif not _serves():
            raise SystemExit(0)

    call_later(GRACE, end)


def _serves() -> bool:
    """Whether the process waits for others to connect."""
    return any(_listens(one) for one in gc.get_objects())


def _listens(thing: Any) -> bool:
    with suppress(Exception):  # what proxies and half-made objects raise is theirs
        if isinstance(thing, socket.socket):
            return bool(thing.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        return isinstance(thing, asyncio.AbstractServer) or (
            type(thing).__module__.startswith("uvloop") and type(thing).__name__ == "Server"
        )
    return False
