# ruff: noqa: SLF001 - what asyncio and anyio keep of their threads and selectors is all private
"""What a fork lacks that goes on with a request: its event loop's selector, and the threads of pools."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import wraps
from queue import SimpleQueue
from selectors import EVENT_WRITE, DefaultSelector
from threading import Thread
from typing import Any, Final, NoReturn

from timetracer_otel.debugging.connection import Connection, is_accepted_or_listens

__all__ = ["begin", "end", "running_loop", "when_sent"]

_sleep = time.sleep  # as it is: what the app waits is replayed

_PR_SET_PDEATHSIG: Final = 1
"""Of prctl(2)."""
_POLL: Final = 0.02
_LAST_WORDS: Final = 2.0
_PATIENCE: Final = 10.0
"""Seconds that tasks have which outlive the response."""


def running_loop() -> asyncio.BaseEventLoop | None:
    """The event loop that runs in this thread; None when there is none."""
    loop = asyncio._get_running_loop()
    return loop if isinstance(loop, asyncio.BaseEventLoop) else None


def begin(loop: asyncio.BaseEventLoop | None, connection: Connection, *, own_group: bool) -> None:
    """Make a fork whole, right behind the fork, in the thread that forked.

    Args:
        loop: that ran in the thread.
        connection: of the client.
        own_group: whether Ctrl-C must not reach it, nor what it starts outlive it.
    """
    _die_with_parent()
    if own_group:
        os.setpgid(0, 0)
    warnings.filterwarnings("ignore", message=".*opened before fork")  # drivers: they reach nowhere in a replay
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    threading.current_thread()._daemonic = False  # type: ignore[attr-defined] # else pydevd says that no thread is alive
    ThreadPoolExecutor.submit = _submitting(ThreadPoolExecutor.submit)  # type: ignore[method-assign] # in this fork only
    if loop is not None:
        _renew(loop, connection)
        _forget_idle_workers()


def _die_with_parent() -> None:
    with suppress(OSError, AttributeError):  # Linux only
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _submitting(submit: Callable[..., Any]) -> Callable[..., Any]:
    """Let an executor of before the fork begin anew: its threads are not there, and it would wait for them."""

    @wraps(submit)
    def submitting(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if self._threads and not any(thread.is_alive() for thread in self._threads):
            self._threads = set()
            self._work_queue = SimpleQueue()
            self._idle_semaphore = threading.Semaphore(0)
        return submit(self, *args, **kwargs)

    return submitting


def _renew(loop: Any, connection: Connection) -> None:
    """Give a loop a selector of its own: that of before is its parent's too.

    The server's other connections, and those that it would accept, are left to the parent.
    """
    keys = list(loop._selector.get_map().values())
    own = loop._ssock.fileno()
    loop._selector.close()
    loop._selector = DefaultSelector()
    for key in keys:
        if key.fd != own and not is_accepted_or_listens(key.fd, connection):
            with suppress(OSError, ValueError):
                loop._selector.register(key.fileobj, key.events, key.data)
    loop._ssock.close()
    loop._csock.close()
    loop._internal_fds -= 1
    loop._make_self_pipe()
    asyncio.set_event_loop(loop)
    asyncio._set_running_loop(loop)


def _forget_idle_workers() -> None:
    """Let anyio start threads anew: it would hand work to those of before the fork, and wait."""
    backend: Any = sys.modules.get("anyio._backends._asyncio")
    if backend is not None:
        with suppress(AttributeError, LookupError):
            backend._threadpool_idle_workers.set(deque())
            backend._threadpool_workers.set(set())


def when_sent(loop: asyncio.BaseEventLoop | None, connection: Connection) -> Callable[[], None]:
    """Give what ends this process once the response is out and what the request has started is done.

    In a server of threads that is for an app that has failed; else the server closes the response.

    Args:
        loop: that the app runs in.
        connection: of the client.
    """
    if loop is None:
        return lambda: Thread(target=_end_when_closed, args=(connection,), daemon=True).start()
    before = asyncio.all_tasks(loop)

    def leave() -> None:
        loop.call_later(_POLL, check, loop.time() + _PATIENCE)

    def check(patience: float) -> None:
        works = bool(asyncio.all_tasks(loop) - before) and loop.time() < patience
        if works or _is_writing(loop, connection):
            loop.call_later(_POLL, check, patience)
        else:
            end()

    return leave


def _end_when_closed(connection: Connection) -> None:
    """End when the server has closed the connection, or has had the time to say what it says of an error."""
    for _ in range(round(_LAST_WORDS / _POLL)):
        if not connection.is_open():
            break
        _sleep(_POLL)
    end()


def _is_writing(loop: Any, connection: Connection) -> bool:
    key = loop._selector.get_map().get(connection.descriptor)
    return key is not None and bool(key.events & EVENT_WRITE)


def end() -> NoReturn:
    """End this process, past all exit handlers."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(0)
