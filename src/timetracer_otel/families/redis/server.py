"""What a server of Redis that is not there says on one connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families import failures
from timetracer_otel.families.nowhere import END, Reply, Say, Wait
from timetracer_otel.families.nowhere.left_socket import Limited
from timetracer_otel.families.nowhere.recorded import replies
from timetracer_otel.families.redis import commands as known
from timetracer_otel.families.redis import forgetful
from timetracer_otel.families.redis.matching import DATABASE, describe, describe_sent, rebound
from timetracer_otel.families.redis.polls import Heard, polls_before
from timetracer_otel.families.redis.recording import CLOSED, HELLO, UNSENT
from timetracer_otel.families.redis.rendering import shown
from timetracer_otel.families.redis.turns import TURNS, Turns
from timetracer_otel.families.redis.wire import Command, commands_in, packed
from timetracer_otel.seams import Answer, Responder, Stream
from timetracer_otel.seams.brokering import is_brokering

__all__ = ["Server"]

_OK: Final = b"+OK\r\n"
_TELLS_OF_ITSELF: Final[Mapping[bytes, object]] = {
    b"server": b"redis",
    b"version": b"7.0.0",
    b"proto": 3,
    b"id": 1,
    b"mode": b"standalone",
    b"role": b"master",
    b"modules": [],
}
_COUNTED: Final = ("SUBSCRIBE", "PSUBSCRIBE")
"""Channels and patterns are counted together."""
_MAPS: Final = 3
"""The version of the protocol that has maps and pushes; the one before has lists in their place."""


class Server(Limited):
    """Answers from the cassette what an app asks; what sets a connection up it answers by itself.

    Args:
        plugin: the integration's name.
        responder: of that.
        is_connecting: whether it is the driver that asks, to set the connection up.
    """

    def __init__(self, plugin: str, responder: Responder, is_connecting: Callable[[], bool]) -> None:
        super().__init__(plugin, responder)
        self._is_connecting = is_connecting
        self._database = "0"
        self._protocol = 2
        self._channels: dict[str, dict[bytes, Stream]] = {word: {} for word in known.SUBSCRIBES}
        self._told: Span | None = None
        """What a subscription was told last, or the call that opened it."""
        self.turns: Turns | None = None
        """Of a client that keeps replies."""
        self._held: list[tuple[int, Answer]] = []
        """What that is to be told of changed keys, each with the turn at which."""

    def greet(self, say: Say[bytes]) -> Iterable[Reply[bytes]]:
        """Say nothing before it is asked."""
        self._say = say
        self._heard = Heard(say, self._message)
        return ()

    def feed(self, data: bytes) -> Iterable[Reply[bytes]]:
        """Answer commands that are sent together."""
        self.refuse_if_over()
        asked = commands_in(data)
        is_plain = known.are_plain(asked)
        is_setup = not is_plain and all(map(known.is_setup, asked))
        if is_brokering() and not is_setup:
            return forgetful.replies(asked, self._protocol)
        if is_setup:
            answer = None if is_brokering() else self._recorded_setup(asked)
            if answer is None or _was_unread(asked, answer):
                return self._heard.confirm(0, [reply for command in asked for reply in self._made_up(command)])
            self._agreed(asked[0], answer)
            return self._heard.confirm(polls_before(answer.recorded), self._said(answer))
        answer = self._responder.answer(
            describe_sent(data, self._database),
            lambda: shown(asked),
            recording=lambda: {
                **spans.encode_payload(spans.REQUEST, _without_secrets(asked)),
                DATABASE: self._database,
            },
        )
        recorded = answer.recorded
        if recorded.attributes.get(UNSENT):
            raise failures.error_of(self._responder, recorded.text(spans.ERROR) or "")
        if not is_plain:
            for command in asked:
                self._listen(command, answer)
        elif self.turns is not None:
            self._hold(self._responder.stream(recorded), self.turns.count)
        if _was_unread(asked, answer):
            return ()
        return self._heard.confirm(polls_before(recorded), self._said(answer))

    def _recorded_setup(self, asked: list[Command]) -> Answer | None:
        """Give what was recorded of setting a connection up: what an app asked for, and what was refused."""
        is_apps = all(map(known.is_asked_by_apps, asked)) and not self._is_connecting()
        description = describe(asked, self._database, connecting=not is_apps)
        return self._responder.next_in_lane(description, in_turn=not is_apps)

    def _said(self, answer: Answer) -> Iterator[Reply[bytes]]:
        if answer.recorded.attributes.get(CLOSED):
            yield from answer.replies
            yield END
            return
        for reply in replies(self._responder, answer):
            yield rebound(reply, answer.bindings) if isinstance(reply, bytes) else reply

    def _listen(self, command: Command, answer: Answer) -> None:
        """Say what was said on the channels that a command subscribes to."""
        word = known.name(command)
        if word not in known.SUBSCRIBES and word != "MONITOR":
            return
        stream = self._responder.stream(answer.recorded)
        if self._told is None:
            self._told = answer.recorded
        if word in self._channels:
            self._channels[word] |= dict.fromkeys(command[1:], stream)
        self._heard.add(stream)

    def _message(self, pushed: Answer) -> Iterator[Reply[bytes]]:
        has_waited = polls_before(pushed.recorded) and spans.ERROR not in pushed.recorded.attributes
        before, self._told = self._told, pushed.recorded
        if CLOSED in pushed.recorded.attributes:
            yield END
            return
        for reply in pushed.replies if has_waited else replies(self._responder, pushed, before):
            yield rebound(reply, pushed.bindings) if isinstance(reply, bytes) else reply

    def patience(self, timeout: float | None) -> float | None:
        """Give how long a subscriber is to wait for a message now.

        Args:
            timeout: how long it wants to; None for ever.
        """
        return self._heard.patience(timeout, waits=_waits_as_recorded())

    def polled(self) -> None:
        """Take that a subscriber looked for a message, and there was none."""
        self._heard.polled()

    def _hold(self, stream: Stream, asked_at: int) -> None:
        """Keep what tells of changed keys until the client has been asked as often as then."""
        while (pushed := stream.next()) is not None:
            turns = pushed.recorded.attributes.get(TURNS)
            self._held.append((asked_at + (turns if isinstance(turns, int) else 0), pushed))
        self.turn()

    def turn(self) -> None:
        """Tell of the keys that have changed until now."""
        count = 0 if self.turns is None else self.turns.count
        due, self._held = [one for at, one in self._held if at <= count], [one for one in self._held if one[0] > count]
        for pushed in due:
            for reply in pushed.replies:
                self._say(reply)

    def _made_up(self, command: Command) -> Iterable[Reply[bytes]]:
        word = known.name(command)
        match word:
            case "HELLO":
                return (self._hello(command),)
            case "PING":
                return (self._pong(command),)
            case "QUIT":
                return (_OK, END)
            case "SELECT":
                self._select(command)
        return self._left(word, command[1:]) if word in known.UNSUBSCRIBES else (_OK,)

    def _agreed(self, command: Command, answer: Answer) -> None:
        """Take what is to hold for the connection from now on, where the server agreed to it."""
        if not answer.replies or answer.replies[0].startswith(b"-"):
            return
        word = known.name(command)
        if word == "SELECT":
            self._select(command)
        elif word == "HELLO":
            self._protocol = _protocol(command)
        elif word in known.UNSUBSCRIBES:
            self._leave(word, command[1:])

    def _select(self, command: Command) -> None:
        self._database = command[1].decode() if len(command) > 1 else "0"

    def _hello(self, command: Command) -> bytes:
        self._protocol = _protocol(command)
        kind = b"%" if self._protocol == _MAPS else b"*"
        recorded = (self._responder.facts(HELLO) or "").encode()
        if recorded.startswith(kind):
            return recorded
        told = {**_TELLS_OF_ITSELF, b"proto": self._protocol}
        count = len(told) if self._protocol == _MAPS else 2 * len(told)
        return kind + b"%d\r\n" % count + b"".join(_value(one) for pair in told.items() for one in pair)

    def _pong(self, command: Command) -> bytes:
        if self._protocol < _MAPS and any(self._channels.values()):
            return packed([b"pong", *(command[1:] or [b""])])
        return _value(command[1]) if len(command) > 1 else b"+PONG\r\n"

    def _leave(self, word: str, names: list[bytes]) -> list[tuple[bytes | None, int]]:
        """Leave channels, all without names; give each with the number of those that stay."""
        channels = self._channels[word.replace("UNSUB", "SUB")]
        counted = [channels] if word == "SUNSUBSCRIBE" else [self._channels[one] for one in _COUNTED]
        left: list[tuple[bytes | None, int]] = []
        for name in names or [*channels]:
            channels.pop(name, None)
            left.append((name, sum(map(len, counted))))
        return left or [(None, sum(map(len, counted)))]

    def _left(self, word: str, names: list[bytes]) -> Iterator[Reply[bytes]]:
        """Confirm that channels are left."""
        kind, nothing = (b">3\r\n", b"_\r\n") if self._protocol == _MAPS else (b"*3\r\n", b"$-1\r\n")
        for name, count in self._leave(word, names):
            told = nothing if name is None else _value(name)
            yield kind + _value(word.lower().encode()) + told + b":%d\r\n" % count

    def awaited(self) -> Iterable[Reply[bytes]]:
        """Stay silent; who waits waits as long as then, where that is wanted."""
        return (Wait(None),) if _waits_as_recorded() else ()

    def close(self) -> None:
        """Tell nothing more."""
        self._heard.close()


def _was_unread(asked: Iterable[Command], answer: Answer) -> bool:
    """Whether an app (un)subscribed, and did not look for messages after that: what it was answered is not known."""
    is_open = not answer.replies and not {spans.ERROR, CLOSED} & answer.recorded.attributes.keys()
    return is_open and all(known.name(command) in known.SUBSCRIBES | known.UNSUBSCRIBES for command in asked)


def _waits_as_recorded() -> bool:
    return seams.settings().pace == "recorded"


def _protocol(hello: Command) -> int:
    return _MAPS if hello[1:2] == [b"3"] else 2


def _without_secrets(asked: list[Command]) -> bytes:
    return b"".join(packed(known.without_secrets(command)) for command in asked)


def _value(value: object) -> bytes:
    if isinstance(value, bytes):
        return b"$%d\r\n%b\r\n" % (len(value), value)
    return b":%d\r\n" % value if isinstance(value, int) else b"*0\r\n"
