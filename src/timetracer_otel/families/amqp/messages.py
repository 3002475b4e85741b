"""A message of AMQP: as it is delivered, published, recorded, and as bytes again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from timetracer_otel.families.kinds.message import BODY, RECORDS, Record, decoded
from timetracer_otel.families.messaging.publishing import Published
from timetracer_otel.seams import Answer, Call, Value
from timetracer_otel.seams.values import rebound

__all__ = ["SYSTEM", "Message", "came_with", "published"]

SYSTEM: Final = "rabbitmq"
_TRACING: Final = frozenset({"traceparent", "tracestate", "baggage"})
"""Headers that instrumentors add, others in each run."""
_OF_ONE: Final = frozenset({"message_id", "timestamp", "headers"})
"""Properties of this one message, and what is compared by itself."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message that a broker gives.

    Attributes:
        body: its bytes.
        exchange: that it was published to.
        routing_key: of it.
        redelivered: whether it was delivered before.
        properties: those that it has, with its headers, as :func:`fields.packed` gives them.
    """

    body: bytes
    exchange: str = ""
    routing_key: str = ""
    redelivered: bool = False
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def correlation_id(self) -> str:
        """By which an answer is told from others; empty without one."""
        return str(self.properties.get("correlation_id") or "")

    def record(self, queue: str) -> Record:
        """Give it as an entry has it.

        Args:
            queue: that it came by.
        """
        told = {name: value for name, value in self.properties.items() if name != "headers"}
        place = {"exchange": self.exchange, "routing_key": self.routing_key, "redelivered": self.redelivered}
        headers = self.properties.get("headers")
        has_headers = {} if headers is None else {"headers": True}
        return Record(queue, self.body, None, list((headers or {}).items()), {**place, **has_headers, **told})

    @classmethod
    def of(cls, record: Record) -> Self:
        """Give the message that an entry has.

        Args:
            record: of the entry.
        """
        told = dict(record.properties)
        exchange, routing_key, redelivered = (told.pop(name, "") for name in ("exchange", "routing_key", "redelivered"))
        if told.pop("headers", False):
            told["headers"] = dict(record.headers)
        return cls(record.body or b"", str(exchange), str(routing_key), bool(redelivered), told)

    def answering(self, correlation_id: str) -> Self:
        """Give the same as the answer to another request.

        Args:
            correlation_id: of that; empty for the same one.
        """
        if not correlation_id or not self.correlation_id:
            return self
        return replace(self, properties={**self.properties, "correlation_id": correlation_id})

    def kept(self, call: Call, queue: str) -> None:
        """Keep it in the call that it came with, as an entry has it.

        Args:
            call: that is recorded.
            queue: that it came by.
        """
        call.attributes[RECORDS] = json.dumps([self.record(queue).encoded()])
        call.put(BODY, self.body)


def came_with(answer: Answer) -> tuple[str, Message] | None:
    """Give the message that came with a recorded call, and its queue; None where none did.

    Args:
        answer: the call.
    """
    heads = answer.recorded.text(RECORDS)
    if heads is None:
        return None
    [head] = json.loads(rebound(heads, answer.bindings))
    record = decoded(head, _rebound(answer.recorded.payload(BODY) or b"", answer.bindings))
    return record.destination, Message.of(record)


def _rebound(body: bytes, bindings: Mapping[Value, Value]) -> bytes:
    try:
        return rebound(body.decode(), bindings).encode() if bindings else body
    except UnicodeDecodeError:
        return body


def published(exchange: str, routing_key: str, body: bytes, properties: Mapping[str, Any]) -> Published:
    """Give a message that leaves the app. Ids and times of this one message do not count when two are compared.

    Args:
        exchange: that it goes to.
        routing_key: of it.
        body: its bytes.
        properties: as :func:`fields.packed` gives them.
    """
    headers = properties.get("headers") or {}
    counted = {name: value for name, value in headers.items() if name.lower() not in _TRACING}
    told = {name: value for name, value in properties.items() if name not in _OF_ONE and value is not None}
    return Published(
        system=SYSTEM,
        destination=f"{exchange}/{routing_key}" if exchange else routing_key,
        name="",
        body=body,
        content_type=str(told.pop("content_type", None) or ""),
        content_encoding=str(told.pop("content_encoding", None) or ""),
        headers={**counted, **({"properties": told} if told else {})},
        others={name: properties[name] for name in ("message_id", "timestamp") if properties.get(name) is not None},
    )
