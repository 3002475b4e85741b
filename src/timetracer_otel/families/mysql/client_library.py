"""MariaDB's client library in C: it tells what passes on its connections, outside of TLS, in the thread that asks."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol

from timetracer_otel.seams import faults

__all__ = ["Listener", "connecting", "forget", "listens"]

_TELLS: Final = "ma_pvio_register_callback"
_CALLBACK: Final = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t)
_WRITES: Final = 1


class Listener(Protocol):
    """Is told what passes on a connection, by the thread that asks, in its context."""

    def sent(self, data: bytes) -> None:
        """Take what was sent."""
        ...

    def received(self, data: bytes) -> None:
        """Take what was received; nothing where the connection is at its end, or broken."""
        ...


class _Connecting(threading.local):
    """The listener of the connection that this thread is making, until the server has greeted it."""

    listener: Listener | None = None


connecting: Final = _Connecting()
_listeners: Final[dict[int, Listener]] = {}
"""By the address of the library's connection."""
_registered: list[Any] = []
"""The function that the library calls, once it does."""
_registering: Final = threading.Lock()
"""Threads that connect first, at once, must not register one each: all would be told twice."""
_changing: Final = threading.RLock()
"""The address of a connection that one thread closes may be that of another's new one at once."""


def listens(module: Any) -> bool:
    """Have the library tell; whether it can: MySQL's own cannot.

    Args:
        module: of C, which stands on the library.
    """
    if _registered:
        return True
    with _registering:
        return bool(_registered) or _register(module)


def _register(module: Any) -> bool:
    tells = getattr(ctypes.CDLL(module.__file__), _TELLS, None)
    if tells is None:
        return False
    function = _CALLBACK(_passes)
    tells.argtypes = [ctypes.c_char, _CALLBACK]
    # Never taken back, nor freed: another thread may be about to call it, and connections end last of all.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(function))
    tells(1, function)
    _registered.append(function)  # only now: who sees it connects at once
    return True


def _passes(
    mode: int, connection: int, buffer: int | None, size: int, is_over: Callable[[], bool] = sys.is_finalizing
) -> None:
    if is_over():
        return  # of this module nothing is left
    listener = _listeners.get(connection)
    if mode != _WRITES and connecting.listener is not None:  # greeted; what was at this address has been freed
        with _changing:
            listener = _listeners[connection] = connecting.listener
        connecting.listener = None
    if listener is None:
        return
    try:
        data = ctypes.string_at(buffer, size) if buffer and size > 0 else b""
        if mode != _WRITES:
            listener.received(data)
        elif data:
            listener.sent(data)
    except Exception as error:  # noqa: BLE001 - there is nobody above who could take it
        faults.report("mysqlclient.passing", error)


def forget(listener: Listener) -> None:
    """Tell a listener nothing more.

    Args:
        listener: of a connection that is no more.
    """
    with _changing:
        for address in [at for at, one in list(_listeners.items()) if one is listener]:
            del _listeners[address]
