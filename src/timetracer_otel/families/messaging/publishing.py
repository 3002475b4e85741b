"""A published message as a call: how it is recorded, compared and shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Self

import pybase64
from opentelemetry.trace import SpanKind

from timetracer_otel import redaction, seams, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families import failures
from timetracer_otel.families.http import bodies
from timetracer_otel.seams import Answer, Call, Description, exceptions
from timetracer_otel.seams.brokering import AppsWork, BrokersWork
from timetracer_otel.seams.values import Blanker

__all__ = ["Published", "Publishing", "begin", "describe", "end", "raise_recorded", "recorded", "render", "rendered"]

_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Published:
    """A message as it leaves the app.

    Attributes:
        system: that carries it, such as ``kombu``.
        destination: where to: exchange and routing key, topic, queue.
        name: of the task that it asks for; empty where there is none.
        body: its bytes.
        content_type: of the body.
        content_encoding: likewise.
        headers: that count when two messages are compared.
        others: what is recorded beside them and never compared: ids of this one message, the sender's name.
    """

    system: str
    destination: str
    name: str
    body: bytes
    content_type: str = ""
    content_encoding: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """As it is recorded."""
        return json.dumps(
            {
                "system": self.system,
                "destination": self.destination,
                "name": self.name,
                "content_type": self.content_type,
                "content_encoding": self.content_encoding,
                "headers": _redacted(self.headers),
                "others": _redacted(self.others),
                "body": pybase64.b64encode_as_string(self.body),
            },
            default=str,
        ).encode()

    @classmethod
    def decoded(cls, payload: bytes) -> Self:
        """Read what :meth:`encoded` gave.

        Args:
            payload: recorded.
        """
        told: dict[str, Any] = json.loads(payload)
        return cls(**{**told, "body": pybase64.b64decode(told["body"])})


def _redacted(headers: Mapping[str, Any]) -> dict[str, Any]:
    texts = redaction.headers((name, value) for name, value in headers.items() if isinstance(value, str))
    return {**headers, **dict(texts)}


def begin(plugin: str, message: Published) -> Call | None:
    """Begin to record a message; None when nothing is recorded here. A fault of ours is reported, not raised.

    Args:
        plugin: the integration's name.
        message: about to leave.
    """
    call = seams.begin(plugin, lambda: (f"publish {message.name}".strip(), _attributes(message)), SpanKind.PRODUCER)
    if call is not None:
        try:
            call.put(spans.REQUEST, message.encoded())
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            call.lose(f"{plugin}.publish", error)
            return None
    return call


def _attributes(message: Published) -> dict[str, spans.Attribute]:
    return {
        "messaging.system": message.system,
        "messaging.operation.type": "send",
        "messaging.destination.name": message.destination,
    }


def end(plugin: str, call: Call | None, error: BaseException | None) -> None:
    """End what :func:`begin` gave.

    Args:
        plugin: the integration's name.
        call: None when nothing is recorded.
        error: that publishing raised.
    """
    if call is None:
        return
    try:
        if error is not None:
            call.fail(error)
        call.end()
    except Exception as fault:  # noqa: BLE001 - recording never breaks the app
        call.lose(f"{plugin}.published", fault)


def recorded(span: Span) -> Published | None:
    """Give a recorded message; None of a span without one.

    Args:
        span: the call.
    """
    payload = span.payload(spans.REQUEST)
    return None if payload is None else Published.decoded(payload)


def describe(message: Published) -> Description:
    """Say what a message asks, so that the same one of another run compares equal. Ids and times count as values.

    Args:
        message: recorded or live.
    """
    blank, ignored = Blanker(), frozenset(seams.settings().ignore_fields)
    head = bodies.canonical(
        json.dumps(_counted(message), sort_keys=True, default=str).encode(), _JSON, "", blank, ignored
    )
    body = bodies.canonical(message.body, message.content_type, "", blank, ignored)
    key = ("messaging", message.system, "publish", message.destination, message.name)
    digest = blake2b(head + b"\0\0\0" + body, digest_size=16, person=b"message").digest()
    return Description(key, digest, tuple(blank.values), read=False, subjects=(("messaging", message.destination),))


def _counted(message: Published) -> dict[str, Any]:
    return {"type": message.content_type, "encoding": message.content_encoding, "headers": _redacted(message.headers)}


def render(message: Published) -> dict[str, Any]:
    """Give a message for people, and for the difference in a miss.

    Args:
        message: recorded or live.
    """
    return {
        "destination": message.destination,
        "task": message.name,
        **_counted(message),
        "body": bodies.shown(message.body, message.content_type, ""),
    }


def raise_recorded(span: Span) -> None:
    """Raise what publishing raised when it was recorded; nothing when it did not.

    Args:
        span: the call.
    """
    if (error := span.text(spans.ERROR)) is not None:
        raise exceptions.rebuilt(error)


def rendered(span: Span) -> dict[str, Any]:
    """Give a recorded message for people.

    Args:
        span: the call.
    """
    message = recorded(span)
    shown: dict[str, Any] = {} if message is None else {"request": render(message)}
    if (error := span.text(spans.ERROR)) is not None:
        shown["error"] = spans.json_or_text(error)
    return shown


class Publishing:
    """A ``with`` block in which a library brings a message to its queue: recorded as one call, or answered as that.

    What the library does there is its own. In a replay it does the same, with a broker that forgets it.

    Args:
        plugin: the integration's name.
        message: what leaves.
    """

    def __init__(self, plugin: str, message: Published) -> None:
        self._plugin = plugin
        self._message = message
        self._call: Call | None = None
        self._answer: Answer | None = None
        self._broker = BrokersWork()

    def __enter__(self) -> Self:
        with AppsWork():
            responder = seams.responder(self._plugin)
            if responder is None:
                self._call = begin(self._plugin, self._message)
            else:
                self._answer = responder.answer(
                    describe(self._message),
                    lambda: render(self._message),
                    recording=lambda: spans.encode_payload(spans.REQUEST, self._message.encoded()),
                )
                if (error := self._answer.recorded.text(spans.ERROR)) is not None:
                    raise failures.error_of(responder, error)
        self._broker.__enter__()
        return self

    def told(self, value: Any) -> Any:
        """Keep what the library told of it, JSON-like; in a replay, give what it told then.

        Args:
            value: as it is now.
        """
        if self._answer is not None:
            told = self._answer.recorded.payload(spans.RESPONSE)
            return value if told is None else json.loads(told)
        if self._call is not None:
            self._call.put(spans.RESPONSE, json.dumps(value).encode())
        return value

    def __exit__(self, _kind: object, error: BaseException | None, _frames: object) -> None:
        self._broker.__exit__()
        end(self._plugin, self._call, error)
