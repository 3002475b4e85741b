"""The end of a replayed program that would wait for messages for ever."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from timetracer_otel.families.amqp.deliveries import any_in_hand

__all__ = ["GRACE", "end_program", "when_quiet"]

GRACE: Final = 0.5
"""Seconds that the program has to end by itself behind its last message."""


def when_quiet(
    call_later: Callable[[float, Callable[[], None]], object], heard: Callable[[], int], step: Callable[[], None]
) -> None:
    """Do something as soon as the program has handled its last message and asks its broker nothing any more.

    Args:
        call_later: calls a function in the program's loop, after so many seconds.
        heard: how much it has asked.
        step: to do.
    """
    before = heard()

    def look() -> None:
        if any_in_hand() or heard() != before:
            when_quiet(call_later, heard, step)
        else:
            step()

    call_later(GRACE, look)


def end_program() -> None:
    """End the program, from within its loop, unless it serves something else."""
    if not _serves():
        raise SystemExit(0)


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
