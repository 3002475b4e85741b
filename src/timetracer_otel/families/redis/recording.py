"""One recorded connection: what it sends and is sent, and which reply belongs to which commands."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from timetracer_otel import seams, spans
from timetracer_otel.families.onlooker import Onlooker
from timetracer_otel.families.redis import commands as known
from timetracer_otel.families.redis.matching import ASKED, DATABASE
from timetracer_otel.families.redis.polls import POLLS
from timetracer_otel.families.redis.turns import TURNS, Turns
from timetracer_otel.families.redis.wire import Command, Replies, commands_in, decoded, packed, topic_of
from timetracer_otel.seams import Call

__all__ = ["CLOSED", "HELLO", "UNSENT", "Place", "Tap"]

HELLO: Final = "timetracer.redis.hello"
"""What the server answered to ``HELLO`` on the call's connection."""
CLOSED: Final = "timetracer.redis.closed"
"""True on a call that the server did not answer to its end before it closed the connection; or in the place of a
message, where it closed that of a subscription."""
UNSENT: Final = "timetracer.redis.unsent"
"""True on a call whose error was raised while it was sent."""
_MESSAGES: Final = frozenset({"message", "pmessage", "smessage"})
_MONITOR: Final = "MONITOR"
_OPENS: Final = known.SUBSCRIBES | {_MONITOR}
_INVALIDATES: Final = b">2\r\n$10\r\ninvalidate\r\n"


@dataclass(frozen=True)
class Place:
    """Where a connection leads.

    Args:
        plugin: the integration's name.
        database: the number of the database.
        server: its address as the semantic conventions have it.
    """

    plugin: str
    database: str
    server: Mapping[str, spans.Attribute]


class _Unread:
    """A subscription, or its end, whose reply nobody has read: that is done with the first message, or never.

    Its call belongs to its lane all the same, so it ends with what was sent, and the reply comes late.
    """

    def catch_up(self) -> None:
        """Nothing has passed."""

    def abandoned(self) -> None:
        """Nothing has passed."""


_UNREAD: Final = _Unread()


@dataclass(slots=True)
class _Sent:
    """Commands that were sent together, while their replies come."""

    commands: list[Command]
    count: int
    call: Call | None
    context: Context | None
    replies: list[bytes] = field(default_factory=list)
    is_plain: bool = False
    """Whether nothing is to be done for them when they are answered."""
    connecting: bool = False
    """Whether the driver sent them, to set the connection up."""


@dataclass
class _Stream:
    """What a call has opened: its messages belong to the lane of that."""

    opener: str
    context: Context
    turn: int = 0
    """Where a client keeps replies, how often it had been asked."""


class Tap(Onlooker):
    """Sees what passes on a connection. A fault of ours is reported, and then nothing more is seen.

    Args:
        place: where the connection leads.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._replies = Replies()
        self._waiting: deque[_Sent] = deque()
        self._streams: dict[object, _Stream] = {}
        self._opened: dict[str, _Stream] = {}
        self._hello = ""
        self.turns: Turns | None = None
        """Of a client that keeps replies."""
        self._last: _Stream | None = None
        """The last call of such a client."""
        self._error: BaseException | None = None
        self._has_ended = self._sends = False
        self.polls = 0
        """How often a subscriber looked in vain since the last message."""

    def sends(self, data: bytes, *, connecting: bool) -> None:
        """Take commands that are about to be sent.

        Args:
            data: all of them.
            connecting: whether the driver sends them, to set the connection up.
        """
        self._look("redis.send", self._take, data, connecting=connecting)

    def _take(self, data: bytes, *, connecting: bool) -> None:
        asked = commands_in(data)
        if known.are_plain(asked):
            self._take_plain(asked, data)
            return
        call = None
        is_setup = all(map(known.is_setup, asked))
        if not is_setup or (not connecting and all(map(known.is_asked_by_apps, asked))):
            call = seams.begin(self._place.plugin, partial(self._named, asked))
        self._ask(call, asked, data)
        if is_setup and call is not None:
            call.attributes[ASKED] = True
        words = set(map(known.name, asked))
        context = copy_context() if words & _OPENS and call is not None else None
        if words & (_OPENS | known.UNSUBSCRIBES) and call is not None and call.own:
            call.under_way = _UNREAD
            call.span.end()
        self._waiting.append(_Sent(asked, sum(map(self._count, asked)), call, context, connecting=connecting))

    def _take_plain(self, asked: list[Command], data: bytes) -> None:
        call = seams.begin(self._place.plugin, partial(self._named, asked))
        if call is not None:
            call.put(spans.REQUEST, data)
            self._note_place(call)
            if self.turns is not None:
                self._last = _Stream(call.span_id, copy_context(), self.turns.count)
        self._waiting.append(_Sent(asked, len(asked), call, None, is_plain=True))

    def _ask(self, call: Call | None, asked: list[Command], data: bytes) -> None:
        if call is None:
            return
        hidden = [known.without_secrets(command) for command in asked]
        call.put(spans.REQUEST, data if data and hidden == asked else b"".join(map(packed, hidden)))
        self._note_place(call)

    def _note_place(self, call: Call) -> None:
        call.attributes[DATABASE] = self._place.database
        if self._hello:
            call.attributes[HELLO], self._hello = self._hello, ""

    def _named(self, asked: list[Command]) -> tuple[str, Mapping[str, spans.Attribute]]:
        verb = " ".join(dict.fromkeys(map(known.name, asked)))
        system = {"db.system.name": "redis", "db.operation.name": verb, DATABASE: self._place.database}
        return verb, {**system, **self._place.server}

    def _count(self, command: Command) -> int:
        """How many replies a command has."""
        word = known.name(command)
        if word in known.SUBSCRIBES or (word in known.UNSUBSCRIBES and len(command) > 1):
            return len(command) - 1
        return max(1, len(self._streams)) if word in known.UNSUBSCRIBES else 1

    def received(self, data: bytes | bytearray | memoryview) -> None:
        """Take what has arrived; nothing at the end."""
        if not len(data):
            self._has_ended = True
            return
        self._error = None
        self._look("redis.receive", self._arrived, data)

    def _arrived(self, data: bytes | bytearray | memoryview) -> None:
        for reply in self._replies.feed(data):
            if (stream := self._stream_of(reply)) is not None:
                self._told(reply, stream)
            elif self._last is not None and reply.startswith(_INVALIDATES):
                self._invalidated(reply, self._last)
            elif self._waiting and not (reply[:1] == b">" and topic_of(reply) not in _CONFIRMS):
                self._answered(reply)

    def _stream_of(self, reply: bytes) -> _Stream | None:
        if not self._streams:
            return None
        if topic_of(reply) in _MESSAGES:
            return self._streams.get(decoded(reply)[1])
        return self._streams.get(_MONITOR) if not self._waiting else None

    def _told(self, message: bytes, stream: _Stream) -> None:
        """Record a message, in the lane that subscribed to it."""
        stream.context.copy().run(self._tell, [message], stream.opener, self._polls_before())

    def _polls_before(self) -> dict[str, spans.Attribute]:
        polls, self.polls = self.polls, 0
        return {POLLS: polls} if polls else {}

    def _invalidated(self, message: bytes, last: _Stream) -> None:
        """Record which keys have changed."""
        turns = 0 if self.turns is None else self.turns.heard(awaits_reply=bool(self._waiting)) - last.turn
        last.context.copy().run(self._tell, [message], last.opener, {TURNS: turns})

    def _tell(self, messages: list[bytes], opener: str, facts: Mapping[str, spans.Attribute]) -> None:
        named = ("message", {"db.system.name": "redis", **self._place.server})
        call = seams.start(self._place.plugin, lambda: named)
        if call is None:
            return
        call.follow(opener)
        call.attributes |= facts
        if messages:
            call.put_replies(messages)
        elif self._error is not None:
            call.fail(self._error)
        call.end()

    def _answered(self, reply: bytes) -> None:
        sent = self._waiting[0]
        sent.replies.append(reply)
        if len(sent.replies) < sent.count:
            return
        self._waiting.popleft()
        if not sent.is_plain:
            self._note_all(sent)
        if sent.call is not None:
            if not sent.is_plain:
                sent.call.attributes |= self._polls_before()
            sent.call.put_replies(sent.replies)
            sent.call.end()

    def _note_all(self, sent: _Sent) -> None:
        for command in sent.commands:
            self._note(command, sent)
        if sent.call is None and known.is_refused(sent.commands[0], sent.replies[0], connecting=sent.connecting):
            self._start(sent)

    def _start(self, sent: _Sent) -> None:
        """Begin the call of what nobody would miss had it gone well."""
        sent.call = seams.start(self._place.plugin, partial(self._named, sent.commands))
        self._ask(sent.call, sent.commands, b"")

    def _note(self, command: Command, sent: _Sent) -> None:
        word = known.name(command)
        if word == "HELLO" and not sent.replies[0].startswith(b"-"):
            self._hello = sent.replies[0].decode("utf-8", "replace")
        elif word in known.UNSUBSCRIBES:
            for reply in sent.replies:
                told = decoded(reply)
                self._streams.pop(told[1] if isinstance(told, list) else None, None)
        elif sent.call is not None and sent.context is not None and word in _OPENS:
            # One for all that a lane subscribes to here: in a replay its messages come in the order in which they came.
            stream = self._opened.setdefault(sent.call.lane.id, _Stream(sent.call.span_id, sent.context))
            names = [_MONITOR] if word == _MONITOR else [_text(name) for name in command[1:]]
            self._streams |= dict.fromkeys(names, stream)

    def broke(self, error: BaseException, *, sends: bool = False) -> None:
        """Take what sending or receiving raised; whether the driver gives up, it decides.

        Args:
            error: the exception.
            sends: whether it was raised while something was sent.
        """
        self._error, self._sends = error, sends

    def ended(self) -> None:
        """Take that the driver has given the connection up: what waits gets no answer any more."""
        self._look("redis.end", self._fail if self._waiting else self._lose_streams)

    def _lose_streams(self) -> None:
        """Record that a subscriber has lost its connection: it sees that in the place of a message."""
        is_lost = self._has_ended or isinstance(self._error, ConnectionError)
        streams = list(self._opened.values()) if is_lost and self._streams else []
        self._streams.clear()
        facts = self._polls_before() | ({CLOSED: True} if self._error is None else {})
        for stream in streams:
            stream.context.copy().run(self._tell, [], stream.opener, facts)

    def _fail(self) -> None:
        while self._waiting:
            sent = self._waiting.popleft()
            if sent.call is None and sent.connecting and (self._error is not None or self._has_ended):
                self._start(sent)
            if sent.call is None:
                continue
            if sent.replies:
                sent.call.put_replies(sent.replies)
            if self._error is None and self._has_ended:
                sent.call.attributes[CLOSED] = True
            else:  # a timeout of the driver's own, or the app's giving up, ends the waiting without an error here
                sent.call.fail(self._error or asyncio.CancelledError())
            if self._sends:
                sent.call.attributes[UNSENT] = True
            sent.call.end()

    def _give_up(self) -> Iterable[Call | None]:
        calls = [sent.call for sent in self._waiting]
        self._waiting.clear()
        return calls


_CONFIRMS: Final = frozenset(word.lower() for word in known.SUBSCRIBES | known.UNSUBSCRIBES)


def _text(name: bytes) -> object:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name
