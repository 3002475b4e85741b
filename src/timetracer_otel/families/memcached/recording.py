"""One recorded connection: what it sends and is sent, and which reply belongs to which commands."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from timetracer_otel import seams, spans
from timetracer_otel.families.memcached import commands as known
from timetracer_otel.families.memcached.matching import CONNECT, SYSTEM
from timetracer_otel.families.memcached.wire import Command, Replies, commands_in
from timetracer_otel.families.onlooker import Onlooker
from timetracer_otel.seams import Call

__all__ = ["CLOSED", "UNSENT", "Tap", "record_refused"]

CLOSED: Final = "timetracer.memcached.closed"
"""True on a call that was not answered to its end when the connection was closed."""
UNSENT: Final = "timetracer.memcached.unsent"
"""True on a call whose error was raised while it was sent."""


@dataclass
class _Sent:
    """Commands that were sent together, while their replies come."""

    count: int
    call: Call | None
    replies: list[bytes] = field(default_factory=list)


class Tap(Onlooker):
    """Sees what passes on a connection. A fault of ours is reported, and then nothing more is seen.

    Args:
        plugin: the integration's name.
        server: where the connection leads, as the semantic conventions have it.
        facts: what each call says beside that.
    """

    def __init__(
        self, plugin: str, server: Mapping[str, spans.Attribute], facts: Mapping[str, spans.Attribute] | None = None
    ) -> None:
        self._plugin = plugin
        self._server = server
        self._facts = facts or {}
        self._replies = Replies()
        self._waiting: deque[_Sent] = deque()
        self._unasked: list[bytes] = []
        """Replies that came when none was waited for: the next who asks reads them first."""

    def sends(self, data: bytes) -> None:
        """Take commands that are about to be sent.

        Args:
            data: all of them.
        """
        self._look(f"{self._plugin}.send", self._take, data)

    def _take(self, data: bytes) -> None:
        asked = commands_in(data)
        call = None
        if not all(map(known.is_setup, asked)):
            call = seams.begin(self._plugin, partial(_named, asked, self._server))
        if call is not None:
            call.put(spans.REQUEST, data)
            call.attributes |= self._facts
        self._waiting.append(_Sent(sum(map(known.replies, asked)), call, self._unasked))
        self._unasked = []

    def sent(self) -> None:
        """Take that they were: of some nobody waits for a reply."""
        self._look(f"{self._plugin}.send", self._settle)

    def received(self, data: bytes | bytearray | memoryview) -> None:
        """Take what has arrived; nothing at the end."""
        if len(data):
            self._look(f"{self._plugin}.receive", self._arrived, data)
        else:
            self.ended()

    def _arrived(self, data: bytes | bytearray | memoryview) -> None:
        for reply in self._replies.feed(data):
            (self._waiting[0].replies if self._waiting else self._unasked).append(reply)
            self._settle()

    def _settle(self) -> None:
        """End the calls that have all their replies."""
        while self._waiting and len(self._waiting[0].replies) >= self._waiting[0].count:
            self._end(self._waiting.popleft())

    def _end(self, sent: _Sent) -> None:
        if sent.call is not None:
            sent.call.put_replies(sent.replies)
            sent.call.end()

    def broke(self, error: BaseException, *, sends: bool = False) -> None:
        """Take what sending or receiving raised, or what has the driver give up.

        Args:
            error: the exception.
            sends: whether it was raised while something was sent.
        """
        self._look(f"{self._plugin}.end", self._fail, {UNSENT: True} if sends else {}, error)

    def ended(self) -> None:
        """Take that one of both has closed the connection: what waits is answered no more."""
        self._look(f"{self._plugin}.end", self._fail, {CLOSED: True})

    def _fail(self, how: Mapping[str, bool], error: BaseException | None = None) -> None:
        rest = self._replies.rest()
        while self._waiting:
            sent = self._waiting.popleft()
            sent.replies += [rest] if rest else []
            rest = b""
            if sent.call is None:
                continue
            if error is not None:
                sent.call.fail(error)
            sent.call.attributes |= how
            self._end(sent)

    def _give_up(self) -> Iterable[Call | None]:
        calls = [sent.call for sent in self._waiting]
        self._waiting.clear()
        return calls


def _named(asked: list[Command], server: Mapping[str, spans.Attribute]) -> tuple[str, Mapping[str, spans.Attribute]]:
    verb = " ".join(dict.fromkeys(command.name for command in asked))
    return verb, {"db.system.name": SYSTEM, "db.operation.name": verb, **server}


def record_refused(plugin: str, server: Mapping[str, spans.Attribute], error: BaseException) -> None:
    """Record that a connection failed.

    Args:
        plugin: the integration's name.
        server: where it was to lead.
        error: why.
    """
    verb = CONNECT.key[1]
    call = seams.start(plugin, lambda: (verb, {"db.system.name": SYSTEM, "db.operation.name": verb, **server}))
    if call is not None:
        call.fail(error)
        call.end()
