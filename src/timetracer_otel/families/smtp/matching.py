"""Describes mails and commands in the form in which recorded and live ones are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families import replies
from timetracer_otel.families.replies import reply_values
from timetracer_otel.families.smtp import content, wire
from timetracer_otel.seams import Description, Value
from timetracer_otel.seams import values as kinds
from timetracer_otel.seams.descriptions import Deferred
from timetracer_otel.seams.values import Blanker

__all__ = [
    "CLOSED",
    "CONTENT",
    "REFUSED",
    "SECURE",
    "SYSTEM",
    "UNSENT",
    "VERB",
    "Asked",
    "answer",
    "asked_in",
    "begins_alike",
    "describe",
    "describe_recorded",
    "peer_named",
    "reached",
    "rebound",
    "refused",
    "reply_values",
]

SYSTEM: Final = "smtp"
VERB: Final = "timetracer.smtp.verb"
"""What a call asks: a command's name, or ``send``."""
CONTENT: Final = "timetracer.smtp.content"
"""Of a mail whose content was sent: where that begins in the request."""
SECURE: Final = "timetracer.smtp.secure"
"""True behind ``STARTTLS``: a server offers other things then."""
CLOSED: Final = "timetracer.smtp.closed"
"""True on a call that was not answered to its end when the connection was closed."""
UNSENT: Final = "timetracer.smtp.unsent"
"""True on a call whose error was raised while the last of it was sent."""
REFUSED: Final = "timetracer.smtp.refused"
"""True on a connection that failed before the server said anything."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks.

    Attributes:
        verb: a command's name, or ``send``.
        peer: the server's host and port, or path.
        commands: the lines that were sent; of a mail several.
        content: of a mail; None where it came not so far.
        secure: whether behind ``STARTTLS``.
    """

    verb: str
    peer: str
    commands: tuple[bytes, ...] = ()
    content: bytes | None = None
    secure: bool = False


def describe(asked: Asked) -> Description:
    """Say what a client asks, so that the same asked in another run compares equal.

    Args:
        asked: recorded or live.
    """
    key = (SYSTEM, asked.verb, asked.peer)
    if asked.verb == wire.SEND:
        same = (key, _digest((*map(wire.without_size, asked.commands), asked.content or b"")))
        whole = partial(_describe_mail, key, asked)
        return Deferred(same=same, whole=whole, key=key, read=False, subjects=(), peer=asked.peer)
    setup = wire.is_setup(asked.verb)
    blanker = Blanker()
    shape = _digest(
        (b"secure" if asked.secure else b"", *(_counted(one, asked.verb, blanker) for one in asked.commands))
    )
    return Description(
        key,
        shape,
        tuple(blanker.values),
        wire.is_read(asked.verb),
        _digest(asked.commands) if asked.verb == "AUTH" else b"",
        subjects=(),
        settles=setup,
        peer=asked.peer,
    )


def refused(peer: str) -> Description:
    """Describe a connection that fails before the server says anything.

    Args:
        peer: the server.
    """
    return Description((SYSTEM, wire.CONNECT, peer), REFUSED.encode(), (), read=False, subjects=(), peer=peer)


def _describe_mail(key: tuple[str, ...], asked: Asked) -> Description:
    blanker = Blanker()
    envelope = [_counted(command, wire.SEND, blanker) for command in asked.commands]
    said = b"" if asked.content is None else content.canonical(asked.content, blanker)
    shape = _digest((*envelope, said))
    return Description(key, shape, tuple(blanker.values), read=False, subjects=(), peer=asked.peer)


def _counted(command: bytes, verb: str, blanker: Blanker) -> bytes:
    """Give what counts of a command: who the client says it is, and its secrets, do not."""
    if wire.is_hello(verb):
        return verb.encode()
    if verb == "AUTH":
        words = command.upper().split()
        return b" ".join((*words[:2], b"%d" % len(words))) if words[:1] == [b"AUTH"] else b"more"
    return blanker.text(wire.without_size(command).decode("utf-8", "replace").rstrip()).encode()


def _digest(pieces: Iterable[bytes]) -> bytes:
    digest = blake2b(digest_size=16)
    for piece in pieces:
        digest.update(b"%d:" % len(piece))
        digest.update(piece)
    return digest.digest()


def begins_alike(recorded: Asked, asked: Asked) -> bool:
    """Whether a recorded mail began with what a live one asks until now.

    Args:
        recorded: the whole.
        asked: what is known of the live one.
    """
    if len(recorded.commands) < len(asked.commands):
        return False
    pairs = zip(recorded.commands, asked.commands, strict=False)
    return all(_counted(one, wire.SEND, Blanker()) == _counted(other, wire.SEND, Blanker()) for one, other in pairs)


def asked_in(recorded: Span) -> Asked | None:
    """Give what a recorded call asked; None when it does not say.

    Args:
        recorded: its span.
    """
    request, verb = recorded.payload(spans.REQUEST), recorded.text(VERB)
    if spans.LOST in recorded.attributes or request is None or verb is None:
        return None
    at = recorded.attributes.get(CONTENT)
    split = at if isinstance(at, int) else len(request)
    commands = tuple(request[:split].splitlines(keepends=True))
    return Asked(
        verb,
        peer_named(recorded.attributes),
        commands,
        None if at is None else request[split:],
        bool(recorded.attributes.get(SECURE)),
    )


def reached(peer: object) -> dict[str, spans.Attribute]:
    """Say which server a connection leads to, as the semantic conventions have it.

    Args:
        peer: as a socket gives it: host and port, or a path.
    """
    if isinstance(peer, tuple):
        return {"server.address": str(peer[0]), "server.port": int(peer[1])}
    return {"server.address": str(peer or "")}


def peer_named(server: Mapping[str, object]) -> str:
    """Give a server's host and port, or path.

    Args:
        server: attributes that say it, as the semantic conventions have it.
    """
    address, port = server.get("server.address", ""), server.get("server.port")
    return f"{address}" if port is None else f"{address}:{port}"


def describe_recorded(recorded: Span) -> Description | None:
    """Say what a recorded call asked; None when it does not say.

    Args:
        recorded: its span.
    """
    asked = asked_in(recorded)
    if asked is None or recorded.attributes.get(REFUSED):
        return None if asked is None else refused(asked.peer)
    return describe(asked)


def answer(recorded: Span) -> bytes:
    """Digest of what a recorded call was told, equal for equal answers.

    Of what sets a connection up that is the code: greetings have the time or a number of the connection in them.

    Args:
        recorded: its span.
    """
    verb, response = recorded.text(VERB), recorded.payload(spans.RESPONSE)
    if response is None or not wire.is_setup(verb or ""):
        return replies.answer(recorded)
    offered = wire.lines_of(response)[1:] if verb in {"EHLO", "LHLO"} else []
    return _digest((response[:3], *offered))


def rebound(reply: bytes, bindings: Mapping[Value, Value]) -> bytes:
    """Give a reply with live values in place of the recorded ones that they are bound to.

    Args:
        reply: whole.
        bindings: the live value of each recorded one.
    """
    return kinds.rebound(reply.decode("latin-1"), bindings).encode("latin-1") if bindings else reply
