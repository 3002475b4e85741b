"""What an app asks of a broker: how it is recorded, compared, shown and answered.

A published message is a call of its own kind; every other method that the broker answers is one with its arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families import failures
from timetracer_otel.families.amqp.fields import packed
from timetracer_otel.families.amqp.messages import SYSTEM, came_with
from timetracer_otel.families.http import bodies
from timetracer_otel.families.kinds.message import BODY, RECORDS
from timetracer_otel.families.messaging import publishing
from timetracer_otel.families.messaging.publishing import Published
from timetracer_otel.seams import Answer, Call, Description, Responder, Value
from timetracer_otel.seams.values import Blanker, found_in, rebound

__all__ = [
    "DEFAULTS",
    "RECORDED",
    "SETTLES",
    "Asked",
    "answer",
    "asked",
    "begin",
    "closed",
    "describe_recorded",
    "render",
    "replied",
    "reply_of",
    "reply_values",
    "told",
]

_SETTLES: Final = frozenset({
    "exchange.declare", "exchange.bind", "queue.declare", "queue.bind", "basic.consume",
})  # fmt: skip
"""What each process asks before it begins to work, and is told the same however often."""
RECORDED: Final = _SETTLES | {
    "exchange.delete", "exchange.unbind", "queue.delete", "queue.purge", "queue.unbind", "basic.get", "basic.ack",
    "basic.nack", "basic.reject", "basic.recover", "tx.commit", "tx.rollback",
}  # fmt: skip
"""The methods that are calls; the others set a channel up, and a broker that is not there answers them by itself."""
DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ack": {"multiple": False},
    "nack": {"multiple": False, "requeue": True},
    "reject": {"requeue": True},
}
"""What an app tells of a message, with what it says beside, in the order of arguments."""
SETTLES: Final = frozenset(f"basic.{what}" for what in DEFAULTS)
"""Calls that no broker answers."""
_OF_ONE: Final = frozenset({"ticket", "consumer_tag", "delivery_tag", "nowait"})
"""Arguments that say nothing, or another thing in each run."""
_PLACES: Final = ("queue", "exchange", "destination")


@dataclass(frozen=True, slots=True)
class Asked:
    """A method that an app asks.

    Attributes:
        method: its name, such as ``queue.declare``.
        arguments: as :func:`fields.packed` gives them.
    """

    method: str
    arguments: Mapping[str, Any]

    @property
    def place(self) -> str:
        """The queue or exchange that it is about; empty where there is none."""
        return str(next((self.arguments[name] for name in _PLACES if self.arguments.get(name)), ""))

    def encoded(self) -> bytes:
        """As it is recorded."""
        return json.dumps({"method": self.method, **self.counted()}).encode()

    def counted(self) -> dict[str, Any]:
        """The arguments that count when two are compared."""
        return {name: value for name, value in self.arguments.items() if name not in _OF_ONE}

    def describe(self) -> Description:
        """Say what it asks, so that the same one of another run compares equal."""
        blank = Blanker()
        text = json.dumps({name: _blanked(value, blank) for name, value in self.counted().items()}, sort_keys=True)
        shape = blake2b(text.encode(), digest_size=16, person=b"amqp").digest()
        key = ("messaging", SYSTEM, self.method, Blanker().text(self.place))
        reads = bool(self.arguments.get("passive"))
        subjects = (("messaging", self.place),) if self.place else ()
        settles = self.method in _SETTLES
        return Description(key, shape, tuple(blank.values), read=reads, subjects=subjects, settles=settles)


def _blanked(value: Any, blank: Blanker) -> Any:
    if isinstance(value, str):
        return blank.text(value)
    if isinstance(value, dict):
        return {key: _blanked(one, blank) for key, one in value.items()}
    return [_blanked(one, blank) for one in value] if isinstance(value, list) else value


def asked(name: str, arguments: Iterable[tuple[str, Any]]) -> Asked:
    """Give a method as a driver has it.

    Args:
        name: the driver's, such as ``Queue.Declare``.
        arguments: by name.
    """
    return Asked(_protocol_name(name), {key: packed(value) for key, value in arguments if value is not None})


def replied(name: str, arguments: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Give what a broker told as it is recorded.

    Args:
        name: the driver's, such as ``Queue.DeclareOk``.
        arguments: by name.
    """
    return {"method": _protocol_name(name), **{key: packed(value) for key, value in arguments if key not in _OF_ONE}}


def closed(code: object, text: object) -> dict[str, Any]:
    """Give that a broker closed the channel instead of an answer.

    Args:
        code: that says why.
        text: likewise.
    """
    return {"method": "channel.close", "reply_code": code, "reply_text": str(text or "")}


@lru_cache(maxsize=256)
def _protocol_name(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def begin(plugin: str, asked: Asked) -> Call | None:
    """Begin to record a method; None when nothing is recorded here.

    Args:
        plugin: the integration's name.
        asked: about to leave.
    """
    attributes: dict[str, spans.Attribute] = {"messaging.system": SYSTEM, "messaging.operation.name": asked.method}
    if asked.place:
        attributes["messaging.destination.name"] = asked.place
    call = seams.start(plugin, lambda: (f"{asked.method} {asked.place}".strip(), attributes))
    if call is not None:
        call.put(spans.REQUEST, asked.encoded())
    return call


def told(call: Call, reply: Mapping[str, Any] | None) -> None:
    """End a call with what the broker told.

    Args:
        call: a method, or a published message.
        reply: JSON-like; None where the broker does not answer.
    """
    if reply is not None:
        call.put(spans.RESPONSE, json.dumps(reply).encode())
    call.end()


# At replay.


def answer(responder: Responder, asked: Asked | Published) -> Answer:
    """Find what answers a method or a published message, and raise what it raised before it left the app.

    Args:
        responder: of the integration.
        asked: live.

    Raises:
        ReplayMiss: nothing does.
    """
    if isinstance(asked, Asked):
        method, encoded = asked, asked.encoded()
        found = responder.answer(
            method.describe(),
            lambda: _shown(method),
            recording=lambda: spans.encode_payload(spans.REQUEST, encoded),
        )
    else:
        message = asked
        found = responder.answer(
            publishing.describe(message),
            lambda: publishing.render(message),
            recording=lambda: spans.encode_payload(spans.REQUEST, message.encoded()),
        )
    if (error := found.recorded.text(spans.ERROR)) is not None:
        raise failures.error_of(responder, error)
    return found


def reply_of(found: Answer) -> dict[str, Any] | None:
    """Give what a broker told to a recorded call, and the message that came with it; None when it told nothing.

    Args:
        found: the call.
    """
    response = found.recorded.payload(spans.RESPONSE)
    told: dict[str, Any] | None = None if response is None else json.loads(rebound(response.decode(), found.bindings))
    if told is not None and (came := came_with(found)) is not None:
        told["came"] = came[1]
    return told


# As an integration declares it.


def describe_recorded(recorded: Span) -> Description | None:
    """Say what a recorded call asked; None when it does not say.

    Args:
        recorded: its span.
    """
    if spans.LOST in recorded.attributes:
        return None
    if spans.FOLLOWS in recorded.attributes:
        return Description(("messaging", SYSTEM, "message"), recorded.span_id.encode(), (), read=True)
    asked = _recorded(recorded)
    if asked is None:
        return None
    return asked.describe() if isinstance(asked, Asked) else publishing.describe(asked)


def _recorded(recorded: Span) -> Asked | Published | None:
    payload = recorded.payload(spans.REQUEST)
    if payload is None:
        return None
    arguments: dict[str, Any] = json.loads(payload)
    method = arguments.pop("method", None)
    return publishing.recorded(recorded) if method is None else Asked(str(method), arguments)


def reply_values(recorded: Span) -> Iterable[Value]:
    """Give the ids and times in what a recorded call was told.

    Args:
        recorded: its span.
    """
    told = (recorded.payload(spans.RESPONSE), recorded.payload(BODY))
    texts = [text.decode("utf-8", "replace") for text in told if text is not None]
    return found_in("\n".join([*texts, recorded.text(RECORDS) or ""]))


def render(recorded: Span) -> dict[str, Any]:
    """Give a recorded call for people.

    Args:
        recorded: its span.
    """
    asked, response = _recorded(recorded), recorded.payload(spans.RESPONSE)
    shown: dict[str, Any] = {} if asked is None else {"request": _shown(asked)}
    if response is not None:
        shown["response"] = spans.json_or_text(response.decode("utf-8", "replace"))
    if (heads := recorded.text(RECORDS)) is not None:
        shown["message"] = {
            "head": spans.json_or_text(heads),
            "body": bodies.shown(recorded.payload(BODY) or b"", "", ""),
        }
    if (error := recorded.text(spans.ERROR)) is not None:
        shown["error"] = spans.json_or_text(error)
    return shown


def _shown(asked: Asked | Published) -> dict[str, Any]:
    return {asked.method: asked.counted()} if isinstance(asked, Asked) else publishing.render(asked)
