"""SIGTERM where the app has no handler: what waits for the exporters is sent, then the signal ends the process as ever.

The app sees none of that: to it the signal has its default action, also when it asks, and whatever it sets wins.

A signal that comes right before the main thread waits below Python is handled when that wait ends, where the
default action would have ended the process. Workers of multiprocessing, which are killed while they wait for work, and
forked processes keep the default action.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import update_wrapper
from types import FrameType
from typing import Any, Final

from timetracer_otel.seams import faults, forks
from timetracer_otel.seams.command_line import WORKER

__all__ = ["SECONDS", "before_end"]

SECONDS: Final = 2.0
"""How long the end may be put off: less than any platform waits between SIGTERM and SIGKILL."""

_set, _get = signal.signal, signal.getsignal


def before_end(send: Callable[[], object]) -> Callable[[], None]:
    """Send what waits before the default action of SIGTERM ends the process; a handler of the app's is left alone.

    Args:
        send: sends it, in a thread of its own, because the main thread may hold any lock when the signal comes.

    Returns:
        What ends this.
    """
    if not _is_main() or _is_worker() or _get(signal.SIGTERM) != signal.SIG_DFL:
        return lambda: None  # only the main thread can set handlers
    watch = _Watch(send)
    watch.begin()
    return watch.end


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def _is_worker() -> bool:
    return any(word.startswith(WORKER) for word in sys.orig_argv)


class _Watch:
    """Stands for the default action, and hides that it does.

    Args:
        send: as for :func:`before_end`.
    """

    def __init__(self, send: Callable[[], object]) -> None:
        self._send = send
        self._last = self.last  # one object: it is compared

        def setting(signalnum: int, handler: Any) -> Any:
            return self._setting(signalnum, handler)

        def getting(signalnum: int) -> Any:
            return self._shown(_get(signalnum))

        self._names: dict[str, tuple[Any, Any]] = {
            "signal": (_set, update_wrapper(setting, _set)),
            "getsignal": (_get, update_wrapper(getting, _get)),
        }

    def begin(self) -> None:
        """Take the place of the default action."""
        forks.after_in_child(self.end)
        _set(signal.SIGTERM, self._last)
        for name, (_, wrapper) in self._names.items():
            setattr(signal, name, wrapper)

    def end(self) -> None:
        """Give it back."""
        for name, (original, wrapper) in self._names.items():
            if getattr(signal, name) is wrapper:
                setattr(signal, name, original)
        if _is_main() and _get(signal.SIGTERM) is self._last:
            _set(signal.SIGTERM, signal.SIG_DFL)

    def last(self, number: int, _frame: FrameType | None) -> None:
        """Send, then let the signal do what it would have done."""
        try:
            sending = threading.Thread(target=self._send, name="timetracer-last", daemon=True)
            sending.start()
            sending.join(SECONDS)
        except Exception as error:  # noqa: BLE001 - the process ends in any case
            faults.report("termination", error)
        finally:
            _set(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _setting(self, signalnum: int, handler: Any) -> Any:
        is_default = signalnum == signal.SIGTERM and handler == signal.SIG_DFL
        return self._shown(_set(signalnum, self._last if is_default else handler))

    def _shown(self, handler: Any) -> Any:
        return signal.SIG_DFL if handler is self._last else handler
