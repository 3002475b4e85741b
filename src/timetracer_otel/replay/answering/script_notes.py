"""Notes of a replayed process for the verification of a script: its output, its parent, how far it came."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Sequence

from timetracer_otel import redaction, spans
from timetracer_otel.replay import variables
from timetracer_otel.replay.journal import Journal
from timetracer_otel.seams import children, places, streams

__all__ = ["ScriptNotes"]


class ScriptNotes:
    """Notes what a recording keeps of a script, at the same places, until the process turns out to be a server.

    Args:
        journal: where to.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._unwatch: Callable[[], None] | None = None

    def begin(self, follows: str) -> None:
        """Begin, in a process that was started by a command.

        Args:
            follows: the recorded session that it follows.
        """
        is_root = children.parent() is None
        self._journal.note("process", root=is_root, follows=follows)
        if self._journal.detailed:
            leaves = os.environ.get(variables.READER_LEAVES, "") if is_root else ""
            self._unwatch = streams.watch(self._printed, streams.Reader(leaves))
            atexit.register(self.end)

    def forked(self, follows: str) -> None:
        """Go on in a child.

        Args:
            follows: as of :meth:`begin`.
        """
        self._journal.note("process", root=False, follows=follows)
        if self._unwatch is not None:
            children.at_child_end(self, self.end)

    def is_server(self) -> None:
        """Stop: what a server prints is not compared."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def end(self) -> None:
        """Note what waits in the streams, and that this is all."""
        if self._unwatch is not None:
            streams.flush()
            self._journal.note("process_end")

    def child_started(self, pid: int, command: Sequence[str], reachable: bool) -> None:  # noqa: FBT001 - as children.Started has it
        """Note a Python program that this process starts: it must come up as a part of the replay.

        Args:
            pid: of its process.
            command: its command line.
            reachable: whether it is set up as this process is.
        """
        told = " ".join(redaction.arguments(command))[:200]
        self._journal.note("child", child=pid, command=told, reachable=reachable, entry=places.entry())

    def _printed(self, name: str, data: bytes) -> None:
        if name != spans.SESSION_STDIN:
            self._journal.note("printed", stream=name, data=data.decode("latin-1"))
