"""Messages that a consumer takes from a topic or a queue, one at a time or a batch: what its seam sees, how it is read.

The bodies stand one behind the other in one payload, as they came; what else is known of each message is a list beside.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.kinds import EntryKind, Side, Texts
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import CassetteError
from timetracer_otel.families.kinds._consumed import Consumed
from timetracer_otel.families.kinds._follower import by_keys
from timetracer_otel.families.kinds._outcome import Payload, compared_error, outcome_in, plain
from timetracer_otel.seams import exceptions
from timetracer_otel.seams.entries import Message

__all__ = [
    "BODY",
    "DESTINATION",
    "KIND",
    "RECORDS",
    "Delivery",
    "Record",
    "consumer",
    "decoded",
    "is_batch",
    "is_settled",
    "records",
    "redacted",
]

DESTINATION: Final = "timetracer.message.destination"
BODY: Final = "timetracer.message.body"
"""The bodies, byte by byte."""
RECORDS: Final = "timetracer.message.records"
"""A JSON list: destination, key, headers, properties and size of each message."""
COUNT: Final = "messaging.batch.message_count"
"""On a batch: how many messages there are."""
CONSUMER: Final = "timetracer.message.consumer"
OUTCOME: Final = "timetracer.message.outcome"
"""What the consumer told the broker, in JSON: what a verification compares."""
STATE: Final = "timetracer.message.state"
_METHOD: Final = "MESSAGE"
_BATCH: Final = "BATCH"
_REFUSED: Final = frozenset({"nack", "reject"})


@dataclass(frozen=True, slots=True)
class Record:
    """One message.

    Attributes:
        destination: the topic or queue that it came by.
        body: its bytes; None where it has none, which is not an empty one.
        key: that Kafka's partitions go by.
        headers: in order; values are bytes, texts, or what else JSON knows.
        properties: what else is needed to deliver it again: partition, offset, delivery tag, content type, time.
    """

    destination: str
    body: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, Any]] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)

    def encoded(self) -> dict[str, Any]:
        """All but the body, JSON-like, redacted."""
        told: dict[str, Any] = {
            "destination": self.destination,
            "size": None if self.body is None else len(self.body),
            "headers": [_header(name, value) for name, value in self.headers],
        }
        if self.key is not None:
            told["key"] = _plain(self.key)
        return {**told, "properties": _plain(self.properties)} if self.properties else told


@dataclass(slots=True)
class Delivery(Consumed):
    """What a consumer got at once, an entry: one message, or a batch.

    Attributes:
        target: the destination; of a batch that of its first message.
        came: the messages.
        plugin: the integration that recorded it.
        is_batch: whether the app asked for several at once, even where one came.
        follows: in a replay, the id of the recorded lane that it was handed out from.
        is_over: whether the consumer has come back from it, or left it.
        consumer: the number of its consumer among those that the program has on its queue; None where that is not told.
        semantics: attributes of the semantic conventions.
        body: theirs.
    """

    target: str
    came: Sequence[Record]
    plugin: str
    is_batch: bool = False
    follows: str = ""
    is_over: bool = False
    consumer: int | None = None
    semantics: Mapping[str, spans.Attribute] = field(default_factory=dict)
    body: Payload = field(init=False)
    _told: list[tuple[int | None, str, Mapping[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.body = Payload(BODY, [one.body for one in self.came if one.body])

    def settle(self, what: str, record: int | None = None, **more: Any) -> None:
        """Take what the consumer tells the broker; nothing any more once it has asked for the next message.

        Args:
            what: ``ack``, ``nack``, ``reject``, ``commit``.
            record: the number of the message, from 0; None for all of them.
            more: whether it comes again, an offset, and the like.
        """
        if not self.is_over:
            self._told.append((record, what, more))

    @property
    def kind(self) -> str:
        """The name of :data:`KIND`."""
        return "message"

    @property
    def method(self) -> str:
        """What file names and lists begin with."""
        return _BATCH if self.is_batch else _METHOD

    @property
    def messages(self) -> Sequence[Message]:
        """The bodies."""
        return (self.body,)

    @property
    def failed(self) -> bool:
        """Whether any message was refused."""
        return any(what in _REFUSED for _record, what, _more in self._told)

    @property
    def texts(self) -> Texts:
        """Heads and bodies."""
        return _texts([one.encoded() for one in self.came], b"\n".join(self.body.body))

    def header(self, name: str) -> str | None:
        """The first header of that lower-case name, as text; of the first message that has it."""
        if name == spans.LANE_HEADER:
            return self.follows or None
        values = (value for one in self.came for key, value in one.headers if key.lower() == name)
        found = next(values, None)
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else None if found is None else str(found)

    def hide_header(self, name: str, mask: str) -> None:
        """Record a mask instead of a header's values."""
        self.came = [
            Record(
                one.destination,
                one.body,
                one.key,
                [(key, mask if key.lower() == name else value) for key, value in one.headers],
                one.properties,
            )
            for one in self.came
        ]

    def attributes(self, error: BaseException | None) -> dict[str, spans.Attribute]:
        """Encode the messages, and what became of them."""
        encoded: dict[str, spans.Attribute] = {
            **self.semantics,
            spans.ENTRY_KIND: self.kind,
            spans.PLUGIN: self.plugin,
            DESTINATION: self.target,
            RECORDS: json.dumps([one.encoded() for one in self.came]),
            **spans.encode_payload(BODY, self.body.body),
        }
        if self.is_batch:
            encoded[COUNT] = len(self.came)
        if self.consumer is not None:
            encoded[CONSUMER] = self.consumer
        if not self.is_over:
            encoded[spans.INCOMPLETE] = "response"
        else:
            encoded |= spans.encode_payload(OUTCOME, self._outcome(error))
            if states := dict.fromkeys(what.upper() for _record, what, _more in self._told):
                encoded[STATE] = ", ".join(states)
        if error is not None:
            encoded[spans.ERROR] = exceptions.encoded(error)
        return encoded

    def _outcome(self, error: BaseException | None) -> bytes:
        """What was told of each message and of all of them: of several, whose turn was first means nothing."""
        told: dict[str, Any] = {"records": [self._told_of(number) for number in range(len(self.came))]}
        if of_all := self._told_of(None):
            told["all"] = of_all
        if error is not None:
            told["error"] = compared_error(error)
        return json.dumps(told, sort_keys=True).encode()

    def _told_of(self, number: int | None) -> list[object]:
        told = [(what, more) for record, what, more in self._told if record == number]
        return [{what: plain(more)} if more else what for what, more in told]


def records(entry: Span) -> list[Record]:
    """Give the recorded messages of an entry.

    Args:
        entry: its span.

    Raises:
        CassetteError: they were cut or damaged.
    """
    bodies, at, found = entry.payload(BODY) or b"", 0, list[Record]()
    for head in _heads(entry.attributes):
        size = head["size"]
        body = None if size is None else bodies[at : at + size]
        at += size or 0
        found.append(decoded(head, body))
    if at != len(bodies):
        raise CassetteError(f"{BODY} has {len(bodies)} bytes, its messages have {at}: record it again")
    return found


def decoded(head: Mapping[str, Any], body: bytes | None) -> Record:
    """Give a message again.

    Args:
        head: as :meth:`Record.encoded` gives it.
        body: its bytes.
    """
    pairs = [(name, _unpacked(value)) for name, value in head["headers"]]
    body = None if head["size"] is None else body or b""
    return Record(head["destination"], body, _unpacked(head.get("key")), pairs, _unpacked(head.get("properties", {})))


def redacted(headers: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Give headers without their secrets.

    Args:
        headers: names and values; those that are bytes or texts may be secrets.
    """
    return [(name, _unpacked(_header(name, value)[1])) for name, value in headers]


def consumer(entry: Span) -> int | None:
    """Give which of its queue's consumers had a message; None where that was not told.

    Args:
        entry: the recorded entry's span.
    """
    number = entry.attributes.get(CONSUMER)
    return number if isinstance(number, int) else None


def is_batch(entry: Span) -> bool:
    """Whether the app asked for several messages at once.

    Args:
        entry: the recorded entry's span.
    """
    return COUNT in entry.attributes


def is_settled(entry: Span) -> bool:
    """Whether the recorded app has told its broker something of what it got.

    Args:
        entry: the recorded entry's span.
    """
    outcome = outcome_in(entry.attributes, OUTCOME)
    told = outcome if isinstance(outcome, dict) else {}
    return bool(told.get("all") or any(told.get("records") or ()))


def _heads(attributes: Mapping[str, object]) -> list[dict[str, Any]]:
    text = attributes.get(RECORDS)
    try:
        heads: list[dict[str, Any]] = json.loads(text) if isinstance(text, str) else []
    except ValueError as error:
        raise CassetteError(f"{RECORDS} is damaged ({error}): record it again") from error
    return heads


def _header(name: str, value: Any) -> list[Any]:
    """A header without its secrets, JSON-like."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return [name, _plain(value)]
    [(_name, hidden)] = redaction.headers([(name, text)])
    return [name, {"bytes": hidden} if isinstance(value, bytes) else hidden]


def _plain(value: Any) -> Any:
    """A value as JSON has it, from which :func:`_unpacked` makes it again."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytes": bytes(value).decode("latin-1")}
    if isinstance(value, Mapping):
        return {"entries": [[str(key), _plain(one)] for key, one in value.items()]}
    if isinstance(value, Iterable):
        return [_plain(one) for one in value]
    return str(value)


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "bytes" in value:
        return value["bytes"].encode("latin-1")
    return {key: _unpacked(one) for key, one in value.get("entries", ())}


def _texts(heads: Sequence[Mapping[str, Any]], body: bytes) -> Texts:
    return Texts([json.dumps(head, sort_keys=True) for head in heads], body)


def _facts(attributes: Mapping[str, object]) -> dict[str, Any]:
    target = str(attributes.get(DESTINATION, ""))
    method = _BATCH if COUNT in attributes else _METHOD
    found: dict[str, Any] = {"method": method, "target": target, "route": target}
    return {**found, "has_body": True} if RECORDS in attributes else found


def _label(attributes: Mapping[str, object]) -> tuple[str | None, str | None]:
    facts = _facts(attributes)
    return facts["method"], facts["target"]


def _told(attributes: Mapping[str, object]) -> str:
    state = attributes.get(STATE)
    refused = isinstance(state, str) and any(word.lower() in state.lower() for word in _REFUSED)
    return str(state) if refused else ""


def _key(came: Iterable[Record]) -> Hashable:
    digest = blake2b(digest_size=16)
    for one in came:
        for part in (one.destination.encode(), one.key, one.body):
            digest.update(b"-" if part is None else b"%d:" % len(part) + part)
    return digest.digest()


KIND = EntryKind(
    name="message",
    reads=lambda attributes: attributes.get(spans.ENTRY_KIND) == "message",
    facts=_facts,
    needed=frozenset({"method", "target", "has_body"}),
    texts=lambda entry: _texts(_heads(entry.attributes), b"\n".join(one.body or b"" for one in records(entry))),
    request=Side(facts={"destination": DESTINATION, "messages": COUNT, "records": RECORDS}, body=BODY),
    response=Side(facts={"state": STATE}, body=OUTCOME),
    label=_label,
    follower=by_keys(lambda entry: [_key(records(entry))], lambda delivery: [_key(delivery.came)]),
    told=_told,
    outcome=lambda attributes: outcome_in(attributes, OUTCOME),
    sealed=frozenset({RECORDS}),
)
