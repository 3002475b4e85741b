"""The runs of a debugged entry: each is a fork taken where the entry came in, so that it can be run again.

The process that the entry came to does what the launcher says, in :mod:`timetracer_otel.debugging.proxy`: fork, kill,
fork again. A fork goes on with the request where the entry's seam had called, under debugpy or counting by itself, and
answers the client over the connection that both have.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import orjson

from timetracer_otel.debugging import preparing, rebirth
from timetracer_otel.debugging.connection import Connection, send_at_once
from timetracer_otel.debugging.control import Control, Lines
from timetracer_otel.debugging.counting import COUNTS, OWN, Counter, Place, Scout
from timetracer_otel.debugging.settings import Settings
from timetracer_otel.seams import Entry
from timetracer_otel.seams.handover import AnsweredElsewhere, handover
from timetracer_otel.seams.lanes import process

__all__ = ["Journal", "debug_here", "look_ahead", "run_in_forks"]

_POLL: Final = 0.02
_PATIENCE: Final = 10.0
"""Seconds that a response has whose program is to end."""
_sleep = time.sleep  # as it is: what the app waits is replayed
_CHUNK: Final = 65536
_HOST: Final = "127.0.0.1"
_NO_STATUS: Final = "200 OK"


class Journal(Protocol):
    """What a debugger needs of the replay's journal."""

    listener: Callable[[dict[str, Any]], None] | None

    def withdraw(self, pid: int) -> None:
        """Take back what a process noted."""
        ...


class _Forks:
    """Forks that go on with one entry, one at a time.

    Args:
        connection: with the client of the entry.
        settings: of the debugger.
        journal: of the replay.
    """

    def __init__(self, connection: Connection, settings: Settings, journal: Journal) -> None:
        self._connection = connection
        self._settings = settings
        self._journal = journal
        self._loop = rebirth.running_loop()
        self.status = ""
        """With which a fork has begun to answer; empty before."""

    def fork(self, order: dict[str, Any]) -> _Run | None:
        """Start a run.

        Args:
            order: ``do`` is ``debug`` or ``scout``; ``muted`` when the client must not see it.

        Returns:
            The run; None in the fork, which goes on.
        """
        reader, writer = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, which it renews
            process.stands_in = True
            try:
                pid = os.fork()
            finally:
                process.stands_in = False
        if pid:
            os.close(writer)
            return _Run(pid, reader)
        os.close(reader)
        self._become(order, writer)
        return None

    def _become(self, order: dict[str, Any], writer: int) -> None:
        def tell(**facts: Any) -> None:
            os.write(writer, orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE))

        if order["muted"]:
            self._connection.mute()
        rebirth.begin(self._loop, self._connection, own_group=self._settings.kind != "pdb")
        handover.began = lambda status: tell(responding=status)
        handover.leave = rebirth.when_sent(self._loop, self._connection)
        handover.closed = rebirth.end
        if order["do"] == "scout":
            _scout(order, self._settings, self._journal, tell)
        else:
            _listen(tell)
            Counter(self._settings.lane).begin()

    def follow(self, run: _Run, order: dict[str, Any], control: Control) -> bool:
        """Pass on what a run tells, until it ends or the launcher wants it killed.

        Args:
            run: that is under way.
            order: that it does.
            control: of the launcher.

        Returns:
            Whether it ended by itself.
        """
        while True:
            ended = run.has_ended()
            ready, _, _ = select.select([control.fileno(), run.reader], [], [], 0 if ended else _POLL)
            told = run.read() if run.reader in ready else []
            for facts in told:
                self.status = facts.get("responding") or self.status
                control.tell(**facts)
            if control.fileno() in ready and (new := control.next()) in (None, {"do": "kill"}):
                answers = new is None and bool(self.status)
                if not (answers and run.ends_soon()):
                    run.kill()
                    self._journal.withdraw(run.pid)  # it counts as not having been
                return answers
            if ended and not told:
                os.close(run.reader)
                if order["muted"]:
                    self._journal.withdraw(run.pid)
                return True


class _Run:
    """One fork, as its parent sees it.

    Args:
        pid: its process id.
        reader: of the pipe through which it tells things.
    """

    def __init__(self, pid: int, reader: int) -> None:
        self.pid = pid
        self.reader = reader
        self._lines = Lines()
        self._ended = False

    def read(self) -> Sequence[dict[str, Any]]:
        """What it has told since."""
        return self._lines.feed(os.read(self.reader, _CHUNK))

    def has_ended(self) -> bool:
        """Whether it runs no more."""
        self._ended = self._ended or bool(os.waitpid(self.pid, os.WNOHANG)[0])
        return self._ended

    def ends_soon(self) -> bool:
        """Whether it ends by itself, as one does that has begun to answer and has lost its debugger."""
        for _ in range(round(_PATIENCE / _POLL)):
            if self.has_ended():
                return True
            _sleep(_POLL)
        return False

    def kill(self) -> None:
        """End it, and what it has started."""
        for end in (os.killpg, os.kill):
            with suppress(ProcessLookupError, PermissionError):
                end(self.pid, signal.SIGKILL)
        if not self._ended:
            os.waitpid(self.pid, 0)
        os.close(self.reader)


def _scout(order: dict[str, Any], settings: Settings, journal: Journal, tell: Callable[..., None]) -> None:
    def found(place: Place) -> None:
        tell(place=place.as_facts())
        rebirth.end()

    back, inside = tuple(order.get("back", ("", 0, OWN))), bool(order.get("inside"))
    scout = Scout(settings.lane, found, order.get("call", ""), back, inside=inside)
    journal.listener = scout.heard
    scout.begin()


def _listen(tell: Callable[..., None]) -> None:
    """Let debugpy listen in this process, and wait until the launcher has told it what the user wants."""
    import debugpy  # noqa: PLC0415, T100 - an extra, and this is what it is for

    _host, port = debugpy.listen((_HOST, 0), in_process_debug_adapter=True)  # noqa: T100 - as above
    send_at_once(port)
    tell(listening=port)
    debugpy.wait_for_client()  # noqa: T100 - as above


def run_in_forks(settings: Settings, journal: Journal, entry: Entry) -> None:
    """Run an entry in forks, as the launcher says; returns in a fork, which goes on with it.

    Args:
        settings: of the debugger.
        journal: of the replay.
        entry: that has come in, and of which nothing was done.

    Raises:
        AnsweredElsewhere: in the process that it came to, when it is answered.
    """
    connection = _connection(entry)
    if connection is None and _listens:
        return  # this process is under the debugger already
    with Control(settings.door) as control:
        control.tell(entry=entry.name, forks=connection is not None, back=connection is not None and COUNTS)
        if connection is None:
            _in_place(control)
            return
        preparing.prepare()
        forks = _Forks(connection, settings, journal)
        while (order := control.next()) is not None:
            if order["do"] == "kill":  # it had just ended
                continue
            run = forks.fork(order)
            if run is None:
                return
            ended = forks.follow(run, order, control)
            control.tell(ended=True)
            if ended and not order["muted"]:
                connection.shut()
                raise AnsweredElsewhere(forks.status or _NO_STATUS)


def look_ahead(settings: Settings, journal: Journal, entry: Entry) -> list[Place] | None:
    """Find the line that makes the call to break at, by running ahead in a fork; None in that fork, which goes on.

    Args:
        settings: of the debugger.
        journal: of the replay.
        entry: that has come in, and of which nothing was done.

    Returns:
        The place; nothing where it was not found.
    """
    connection = _connection(entry)
    if connection is None:
        return []
    order = {"do": "scout", "muted": True, "call": settings.break_at}
    run = _Forks(connection, settings, journal).fork(order)
    if run is None:
        return None
    told: list[dict[str, Any]] = []
    while data := run.read():  # nothing at its end
        told += data
    run.kill()
    journal.withdraw(run.pid)
    return [Place.of(facts["place"]) for facts in told if "place" in facts]


def debug_here(settings: Settings, what: str) -> None:
    """Debug this process from now on, which cannot be run again.

    Args:
        settings: of the debugger.
        what: is debugged, for people.
    """
    with Control(settings.door) as control:
        control.tell(entry=what, forks=False, back=False)
        _in_place(control)


def _in_place(control: Control) -> None:
    if control.next() is not None:
        _listens.append(True)
        _listen(control.tell)


_listens: list[bool] = []
"""Whether debugpy listens in this process itself: it can be told to once."""


def _connection(entry: Entry) -> Connection | None:
    """The connection that a fork can answer an entry by; None when it cannot be answered by one."""
    return Connection.of(getattr(entry, "peer", None)) if _can_fork() else None


def _can_fork() -> bool:
    """Whether a fork of this process can go on: not on macOS, whose libraries do not bear it, nor under gevent."""
    return sys.platform == "linux" and not getattr(os.fork, "__module__", "posix").startswith("gevent")
