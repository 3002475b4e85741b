"""One recorded connection: what its client sends and is told, and which of it is one call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial

from timetracer_otel import seams, spans
from timetracer_otel.families.onlooker import Onlooker
from timetracer_otel.families.smtp import opening, wire
from timetracer_otel.families.smtp.matching import CLOSED, CONTENT, REFUSED, SECURE, SYSTEM, UNSENT, VERB, peer_named
from timetracer_otel.seams import Call

__all__ = ["Tap"]


class _UnderWay:
    """A call, until all of it is asked and answered.

    Args:
        verb: what it asks.
        call: None where it is not recorded.
    """

    def __init__(self, verb: str, call: Call | None) -> None:
        self.verb = verb
        self.call = call
        self.sent: list[bytes] = []
        self.replies: list[bytes] = []
        self.last = verb
        """The last command of it."""
        self.waits = True
        """Whether a reply is to come."""
        self.content: int | None = None
        """Where in what was sent the content begins."""
        self.takes_content = False


class Tap(Onlooker):
    """Sees what passes on a connection. A fault of ours is reported, and then nothing more is seen.

    Args:
        plugin: the integration's name.
        server: where the connection leads, as the semantic conventions have it.
    """

    def __init__(self, plugin: str, server: Mapping[str, spans.Attribute]) -> None:
        self._plugin = plugin
        self._server = server
        self._cutter = wire.Replies()
        self._now: _UnderWay | None = None
        self._secure = False
        self._logs_in = False
        self._opened: list[opening.Step] = []
        self._opened_in = ""
        """The lane that has opened the connection."""

    # What the client does.

    def connects(self) -> None:
        """Take that the client connects: the server speaks first."""
        self._look(f"{self._plugin}.connect", self._begin, wire.CONNECT)

    def refused(self, error: BaseException) -> None:
        """Take that it could not connect, if that is not known already."""
        self._look(f"{self._plugin}.connect", self._fail, {REFUSED: True}, error)

    def sends(self, data: bytes) -> None:
        """Take a command, or a piece of a mail's content, that is about to be sent.

        Args:
            data: all of it.
        """
        self._look(f"{self._plugin}.send", self._take, data)

    def reads_on(self) -> None:
        """Take that the client reads a reply, be it to a command or not."""
        if self._now is None or not self._now.waits:
            self._look(f"{self._plugin}.receive", self._wait)

    def _take(self, data: bytes) -> None:
        now = self._now
        if now is not None and now.takes_content:
            if now.content is None:
                now.content = sum(map(len, now.sent))
            now.sent.append(data)
            now.waits = True
            return
        logs_in, self._logs_in = self._logs_in, False
        verb = "AUTH" if logs_in else wire.verb_of(data)
        if now is not None and wire.ends_mail(verb):
            self._end()
        if self._now is None:
            self._begin(wire.SEND if wire.begins_mail(verb) else verb)
        if self._now is not None:
            self._now.last, self._now.waits = verb, True
            self._now.sent.append(wire.sealed(data, continues=logs_in) if verb == "AUTH" else data)

    def _wait(self) -> None:
        if self._now is None:
            self._begin(wire.WAIT)
        else:
            self._now.waits = True

    def _begin(self, verb: str) -> None:
        call = seams.begin(self._plugin, partial(_named, verb, self._server))
        self._now = _UnderWay(verb, call)

    # What it is told.

    def received(self, data: bytes) -> None:
        """Take what has arrived."""
        self._look(f"{self._plugin}.receive", self._arrived, data)

    def _arrived(self, data: bytes) -> None:
        for reply in self._cutter.feed(data):
            now = self._now
            if now is None or not now.waits:
                continue  # nobody reads it
            now.replies.append(reply)
            now.waits = False
            if wire.is_opening(now.verb):
                self._opened.append((now.verb, self._secure, reply.decode("latin-1")))
                self._opened_in = self._opened_in or ("" if now.call is None else now.call.lane.id)
            self._secure = self._secure or (now.verb == "STARTTLS" and reply.startswith(b"220"))
            self._logs_in = wire.continues_login(now.verb, reply)
            now.takes_content = wire.takes_content(now.last, reply)
            if now.verb != wire.SEND or now.content is not None or now.last == "RSET":
                self._end()

    def broke(self, error: BaseException, *, sends: bool = False) -> None:
        """Take what sending or receiving raised, or what has the client give up: then the app does so in a replay, too.

        Args:
            error: the exception.
            sends: whether it was raised while something was sent.
        """
        if not isinstance(error, Exception):  # such as gevent's Timeout
            error, sends = asyncio.CancelledError(), False
        self._look(f"{self._plugin}.end", self._fail, {UNSENT: True} if sends else {}, error)

    def ended(self) -> None:
        """Take that one of both has closed the connection: what waits is answered no more."""
        self._look(f"{self._plugin}.end", self._fail, {CLOSED: True})

    def _fail(self, how: Mapping[str, bool], error: BaseException | None = None) -> None:
        now, rest = self._now, self._cutter.rest()
        if now is None:
            return
        if now.waits:
            now.replies += [rest] if rest else []
            if now.call is not None:
                now.call.attributes |= how
                if error is not None:
                    now.call.fail(error)
        self._end()

    def _end(self) -> None:
        now, self._now = self._now, None
        if now is None or now.call is None:
            return
        call = now.call
        call.attributes[VERB] = now.verb
        if now.content is not None:
            call.attributes[CONTENT] = now.content
        if self._secure and now.verb != "STARTTLS":
            call.attributes[SECURE] = True
        if self._opened and call.lane.id != self._opened_in:
            call.attributes[opening.OPENED] = opening.encoded(peer_named(self._server), self._opened)
        call.put(spans.REQUEST, now.sent)
        call.put_replies(now.replies)
        call.end()

    def _give_up(self) -> Iterable[Call | None]:
        now, self._now = self._now, None
        return () if now is None else (now.call,)


def _named(verb: str, server: Mapping[str, spans.Attribute]) -> tuple[str, Mapping[str, spans.Attribute]]:
    return f"{SYSTEM} {verb}", {"network.protocol.name": SYSTEM, **server}
