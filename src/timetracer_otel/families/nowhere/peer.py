"""The far end of a connection that reaches nowhere: what its dialogue has said and the client has not taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic

from timetracer_otel.families.nowhere.dialogue import Dialogue, Reply, Said

__all__ = ["Peer"]


class Peer(Generic[Said]):
    """Keeps what is to come, in order. It never waits: that is for the transport.

    Args:
        dialogue: how the peer answers.
        told: called when something comes that nothing asked for, by the thread that says it.
    """

    __slots__ = ("_awaited", "_feeding", "_to_come", "_told", "dialogue")

    def __init__(self, dialogue: Dialogue[Said], told: Callable[[], object] | None = None) -> None:
        self.dialogue = dialogue
        self._to_come: deque[Iterator[Reply[Said]]] = deque()
        self._awaited: Iterator[Reply[Said]] | None = None
        self._told = told
        self._feeding: list[Iterator[Reply[Said]]] | None = None
        self._to_come.append(iter(dialogue.greet(self._say)))

    def _say(self, reply: Reply[Said] | Iterator[Reply[Said]]) -> None:
        said = reply if isinstance(reply, Iterator) else iter((reply,))
        feeding = self._feeding
        if feeding is not None:
            feeding.append(said)  # by what is asked just now, whose answer comes first
            return
        self._to_come.append(said)
        if self._told is not None:
            self._told()

    def feed(self, data: bytes) -> None:
        """Take what the client sends."""
        self._awaited = None
        said: list[Iterator[Reply[Said]]] = []
        self._feeding = said
        try:
            self._to_come.append(iter(self.dialogue.feed(data)))
        finally:
            self._feeding = None
            self._to_come.extend(said)

    def shut(self) -> None:
        """Take that the client sends nothing more."""
        self._to_come.append(iter(self.dialogue.shut()))

    def next(self) -> Reply[Said] | None:
        """Take what comes next; None when nothing is to come."""
        while self._to_come:
            for reply in self._to_come[0]:
                return reply
            self._to_come.popleft()
        return None

    def awaited(self) -> Reply[Said] | None:
        """As :meth:`next` for a client that waits: the dialogue may have something to say to that."""
        reply = self.next()
        while reply is None:
            begins = self._awaited is None
            said = self._awaited = self._awaited or iter(self.dialogue.awaited())
            reply = next(said, None)
            if reply is None:
                self._awaited = None
                if begins:
                    break
        return reply

    def forget(self) -> None:
        """Drop what is to come: nobody will read it."""
        self._to_come.clear()
        self._awaited = None
