"""No outbound connection leaves a replay unless a live integration makes it.

An audit hook sees what every Python socket does, also those that bypass ``socket.create_connection``. C drivers that
open sockets of their own are not seen.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from timetracer_otel.errors import OutboundRefused
from timetracer_otel.seams import live_io

__all__ = ["refuse_outbound"]

_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyname_ex"})
_SENDS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_DEBUGGERS = ("pydevd", "_pydevd", "debugpy")


_watches: list[tuple[Callable[[str], None], Callable[[], bool]]] = []
"""Who is told of a refusal, and while what holds: the last replay of this process, none before the first."""


def refuse_outbound(note: Callable[[str], None], *, while_: Callable[[], bool]) -> None:
    """Refuse connections and name look-ups from now on, in this process and what it forks.

    Args:
        note: called with the refused address.
        while_: whether the replay is still in force; an audit hook cannot be removed.
    """
    first = not _watches
    _watches[:] = [(note, while_)]
    if first:
        sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _SENDS:
        address = arguments[1]
        refused = address is not None and not _is_local_pipe(address)
    elif event in _LOOKUPS:
        address = arguments[0]
        refused = not _is_own_name(address)
    else:
        return
    if refused and not live_io.get() and not _from_debugger():
        note, in_force = _watches[0]
        if in_force():
            text = _text(address)
            note(text)
            raise OutboundRefused(
                f"the replay refused {event.removeprefix('socket.')} to {text}: nothing recorded stands in for it. "
                "If that peer should be reached, name its integration with --live"
            )


def _text(address: object) -> str:
    if isinstance(address, tuple):
        return ":".join(map(str, address[:2]))
    return address.decode("utf-8", "replace") if isinstance(address, bytes) else str(address)


def _is_local_pipe(address: object) -> bool:
    """A Unix socket of multiprocessing's own, or an abstract one."""
    text = _text(address)
    return not isinstance(address, tuple) and (text.startswith("\0") or "/pymp-" in text)


def _is_own_name(name: object) -> bool:
    """Names that a server resolves in order to listen; they need no network."""
    text = _text(name) if name is not None else ""
    if text in ("", "None", "localhost"):
        return True
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _from_debugger() -> bool:
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - the cheap way to walk the stack
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(_DEBUGGERS):
            return True
        frame = frame.f_back
    return False
