"""What a mail server that is not there says on one connection.

A mail is one call, but its client wants a reply to each of its commands before the next one. Those come from a recorded
mail that began alike; which one answers is decided when all of the mail is known. Where none began alike, the server
agrees to everything until then, so that the miss can say all that is different in the mail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import ReplayMiss
from timetracer_otel.families import failures
from timetracer_otel.families.nowhere import END, Reply
from timetracer_otel.families.nowhere.dialogue import Say
from timetracer_otel.families.nowhere.left_socket import Limited
from timetracer_otel.families.nowhere.recorded import replies
from timetracer_otel.families.smtp import matching, opening, wire
from timetracer_otel.families.smtp.matching import CLOSED, CONTENT, SECURE, UNSENT, VERB, Asked
from timetracer_otel.families.smtp.rendering import shown
from timetracer_otel.seams import Answer, Responder, exceptions

__all__ = ["Server"]

_GO_ON: Final = b"354 Go on\r\n"
_AGREED: Final = b"250 OK\r\n"
"""What a client is told that is about to send a mail which was not recorded."""


class _Mail:
    """A mail that is being sent.

    Args:
        responder: gives recorded ones.
        asked: the first command.
    """

    def __init__(self, responder: Responder, asked: Asked) -> None:
        self.asked = asked
        self.takes_content = False
        self._others = _recorded_mails(responder)
        self._alike: tuple[Asked, list[bytes]] | None = None

    def add(self, data: bytes) -> None:
        """Take a command, or a piece of the content."""
        if self.takes_content:
            self.asked = replace(self.asked, content=(self.asked.content or b"") + data)
        else:
            self.asked = replace(self.asked, commands=(*self.asked.commands, data))

    @property
    def is_whole(self) -> bool:
        """Whether the client says nothing more of it."""
        if self.takes_content:
            return wire.ends_content(self.asked.content or b"")
        return wire.verb_of(self.asked.commands[-1]) == "RSET"

    def reply(self) -> bytes | None:
        """Give what the last command is told; None where the recorded mail ends with it.

        Such a mail was refused, or its connection broke.
        """
        count, last = len(self.asked.commands), wire.verb_of(self.asked.commands[-1])
        while self._alike is None or not matching.begins_alike(self._alike[0], self.asked):
            self._alike = next(self._others, None)
            if self._alike is None:
                return _GO_ON if last == "DATA" else _AGREED
        recorded, told = self._alike
        goes_on = len(recorded.commands) > count or recorded.content is not None
        return told[count - 1] if goes_on and len(told) >= count else None


def _recorded_mails(responder: Responder) -> Iterator[tuple[Asked, list[bytes]]]:
    for recorded in responder.recorded_with(VERB, wire.SEND):
        asked = matching.asked_in(recorded)
        if asked is not None:
            yield asked, spans.decode_replies(recorded.attributes)


class Server(Limited):
    """Answers from the cassette what an app asks.

    Args:
        plugin: the integration's name.
        responder: of that.
        peer: the server that the app connects to.
        greets: whether the connection is new.
    """

    def __init__(self, plugin: str, responder: Responder, peer: str, *, greets: bool = True) -> None:
        super().__init__(plugin, responder)
        self._peer = peer
        self._greets = greets
        self._mail: _Mail | None = None
        self._steps: list[opening.Step] | None = None
        self._secure = False
        self._logs_in = False
        self.is_silent = False
        """Whether the client's own clock ended the call that has answered last, and nothing else is to come."""

    def greet(self, _say: Say[bytes]) -> Iterable[Reply[bytes]]:
        """Say what the server says first."""
        return self._ask(Asked(wire.CONNECT, self._peer)) if self._greets else ()

    def feed(self, data: bytes) -> Iterable[Reply[bytes]]:
        """Answer a command, or a piece of a mail's content."""
        self.refuse_if_over()
        mail = self._mail
        if mail is not None and (mail.takes_content or not wire.ends_mail(wire.verb_of(data))):
            mail.add(data)
            return self._go_on(mail)
        self._leave_mail()
        logs_in, self._logs_in = self._logs_in, False
        verb = "AUTH" if logs_in else wire.verb_of(data)
        if verb == "AUTH":
            data = wire.sealed(data, continues=logs_in)
        if wire.begins_mail(verb):
            self._mail = _Mail(self._responder, Asked(wire.SEND, self._peer, (data,), secure=self._secure))
            return self._go_on(self._mail)
        return self._ask(Asked(verb, self._peer, (data,), secure=self._secure and verb != "STARTTLS"))

    def _go_on(self, mail: _Mail) -> Iterable[Reply[bytes]]:
        if mail.takes_content and not mail.is_whole:
            return ()
        reply = None if mail.is_whole else mail.reply()
        if reply is None:
            self._mail = None
            return self._ask(mail.asked)
        mail.takes_content = wire.takes_content(wire.verb_of(mail.asked.commands[-1]), reply)
        return (reply,)

    def _leave_mail(self) -> None:
        """Look a mail up that the client does not go on with: it was recorded so, or is missed."""
        mail, self._mail = self._mail, None
        if mail is not None:
            self._answer(mail.asked)

    def _answer(self, asked: Asked) -> Answer:
        return self._responder.answer(
            matching.describe(asked), partial(shown, asked), recording=partial(_as_recorded, asked)
        )

    def _ask(self, asked: Asked) -> Iterable[Reply[bytes]]:
        if (step := self._opening(asked)) is not None:
            self._told(asked, step)
            return (step,)
        answer = self._answer(asked)
        recorded, told = answer.recorded, answer.replies
        if recorded.attributes.get(UNSENT):
            raise failures.error_of(self._responder, recorded.text(spans.ERROR) or "")
        self.is_silent = _timed_out(recorded) and not self._responder.wait(recorded)
        self._told(asked, told[-1] if told else b"")
        return self._said(answer, len(asked.commands) + (asked.content is not None))

    def _told(self, asked: Asked, reply: bytes) -> None:
        self._logs_in = wire.continues_login(asked.verb, reply)
        self._secure = self._secure or (asked.verb == "STARTTLS" and reply.startswith(b"220"))

    def _opening(self, asked: Asked) -> bytes | None:
        """Give what a step of opening was told in a lane that is not in the recording; None where it is a call."""
        if not wire.is_opening(asked.verb) or next(self._responder.recorded_with(VERB, asked.verb), None) is not None:
            return None
        if self._steps is None:
            self._steps = opening.recorded_steps(self._responder, self._peer)
        for number, (verb, secure, reply) in enumerate(self._steps):
            if (verb, secure) == (asked.verb, asked.secure):
                del self._steps[number]
                return reply.encode("latin-1")
        return None

    def _said(self, answer: Answer, asked: int) -> Iterator[Reply[bytes]]:
        """Give the reply to the last of what was asked, and what came in its place."""
        closed = bool(answer.recorded.attributes.get(CLOSED))
        told = answer.replies
        fails = closed or spans.ERROR in answer.recorded.attributes
        skipped = max(asked - 1, 0) if fails else max(len(told) - 1, 0)
        if closed:
            yield from told[skipped:]
            yield END
            return
        for reply in replies(self._responder, answer):
            if not isinstance(reply, bytes):
                yield reply
            elif skipped:
                skipped -= 1
            else:
                yield matching.rebound(reply, answer.bindings)

    def awaited(self) -> Iterable[Reply[bytes]]:
        """Say what a client reads that has asked nothing, as one of LMTP does."""
        answer = self._responder.next_in_lane(matching.describe(Asked(wire.WAIT, self._peer, secure=self._secure)))
        return () if answer is None else self._said(answer, 0)

    def close(self) -> None:
        """Take that the client has left; a mail that it was sending then is looked up, and its miss counted."""
        if not self.is_of_the_past:
            with suppress(ReplayMiss):
                self._leave_mail()


def _timed_out(recorded: Span) -> bool:
    error = recorded.text(spans.ERROR)
    return error is not None and exceptions.is_own_timeout(error)


def _as_recorded(asked: Asked) -> dict[str, spans.Attribute]:
    """Give the attributes of a live request, as a recording has them."""
    envelope = b"".join(asked.commands)
    attributes = spans.encode_payload(spans.REQUEST, envelope + (asked.content or b"")) | {VERB: asked.verb}
    if asked.content is not None:
        attributes[CONTENT] = len(envelope)
    return attributes | ({SECURE: True} if asked.secure else {})
