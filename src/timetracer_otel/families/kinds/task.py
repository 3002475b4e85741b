"""Tasks that a worker takes from a queue: what its seam sees of one, and how a recorded one is read."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.kinds import EntryKind, Side, Texts
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.kinds._consumed import Ran
from timetracer_otel.families.kinds._follower import by_keys
from timetracer_otel.families.kinds._outcome import Outcome, Payload, outcome_in, plain, shown
from timetracer_otel.seams import exceptions
from timetracer_otel.seams.entries import Headers, Message

__all__ = [
    "BODY",
    "CONTENT_ENCODING",
    "CONTENT_TYPE",
    "HEADERS",
    "KIND",
    "NAME",
    "PROPERTIES",
    "QUEUE",
    "RETRIES",
    "TASK_ID",
    "Outcome",
    "Payload",
    "Task",
    "plain",
]

NAME: Final = "timetracer.task.name"
TASK_ID: Final = "timetracer.task.id"
QUEUE: Final = "timetracer.task.queue"
RETRIES: Final = "timetracer.task.retries"
ETA: Final = "timetracer.task.eta"
ARGUMENTS: Final = "timetracer.task.arguments"
"""For people, and to find the lane of a plain call: the arguments in JSON, by name where that is known."""
HEADERS: Final = "timetracer.task.headers"
"""A JSON list of pairs, each value in JSON itself: headers of a message need not be texts."""
BODY: Final = "timetracer.task.body"
"""The message's body, byte by byte."""
CONTENT_TYPE: Final = "timetracer.task.content_type"
CONTENT_ENCODING: Final = "timetracer.task.content_encoding"
PROPERTIES: Final = "timetracer.task.properties"
"""What else of the message is needed to deliver it again, in JSON."""
OUTCOME: Final = "timetracer.task.outcome"
"""What came of it, in JSON: what a verification compares."""
STATE: Final = "timetracer.task.state"
TRACEBACK: Final = "timetracer.task.traceback"
_METHOD: Final = "TASK"


@dataclass(slots=True)
class Task(Ran):
    """One execution of a task, an entry.

    Attributes:
        target: the task's name.
        id: its id, the same for each retry.
        arguments: by name, as the task gets them; positional ones and those by name where they do not fit it.
        plugin: the integration that recorded it.
        headers: of the message, each value in JSON.
        queue: that it came by; empty when there was none.
        retries: how often it was tried before.
        eta: when it was to run at the earliest; empty for at once.
        content_type: of the body.
        content_encoding: likewise.
        properties: what else is needed to deliver the message again, in JSON.
        came: the message's body.
        outcome: once it has ended.
    """

    target: str
    id: str
    arguments: object
    plugin: str
    headers: Headers = field(default_factory=list)
    queue: str = ""
    retries: int = 0
    eta: str = ""
    content_type: str = ""
    content_encoding: str = ""
    properties: str = ""
    came: Payload = field(default_factory=lambda: Payload(BODY))
    outcome: Outcome | None = None
    is_message: bool = field(init=False)
    """Whether it came as a message, which a plain call does not; the pieces of a large one leave for the disk."""

    def __post_init__(self) -> None:
        self.is_message = bool(self.came.body)

    @property
    def kind(self) -> str:
        """The name of :data:`KIND`."""
        return "task"

    @property
    def method(self) -> str:
        """What file names and lists begin with."""
        return _METHOD

    @property
    def messages(self) -> Sequence[Message]:
        """The message's body."""
        return (self.came,)

    @property
    def texts(self) -> Texts:
        """Id, headers, arguments and body."""
        return _texts(self.id, self.headers, shown(self.arguments), b"".join(self.came.body))

    def header(self, name: str) -> str | None:
        """The first header of that lower-case name, as text."""
        value = next((value for key, value in self.headers if key.lower() == name), None)
        told = None if value is None else spans.json_or_text(value)
        return told if isinstance(told, str) or told is None else value

    def hide_header(self, name: str, mask: str) -> None:
        """Record a mask instead of a header's values."""
        self.headers = [(key, json.dumps(mask) if key.lower() == name else value) for key, value in self.headers]

    def attributes(self, error: BaseException | None) -> dict[str, spans.Attribute]:
        """Encode message and outcome."""
        encoded: dict[str, spans.Attribute] = {
            spans.ENTRY_KIND: self.kind,
            spans.PLUGIN: self.plugin,
            NAME: self.target,
            TASK_ID: self.id,
            RETRIES: self.retries,
            ARGUMENTS: shown(self.arguments),
        }
        if self.is_message:
            encoded |= spans.encode_headers(HEADERS, redaction.headers(self.headers))
            encoded |= spans.encode_payload(BODY, self.came.body)
        more = {QUEUE: self.queue, ETA: self.eta, CONTENT_TYPE: self.content_type}
        more |= {CONTENT_ENCODING: self.content_encoding, PROPERTIES: self.properties}
        encoded |= {name: value for name, value in more.items() if value}
        outcome = self.outcome
        if outcome is None:
            encoded[spans.INCOMPLETE] = "response"
        else:
            encoded |= {STATE: outcome.state, **spans.encode_payload(OUTCOME, outcome.encoded)}
            if outcome.traceback:
                encoded[TRACEBACK] = outcome.traceback
            error = error or (outcome.error if self.failed else None)
        if error is not None:
            encoded[spans.ERROR] = exceptions.encoded(error)
        return encoded


def _texts(task_id: str, headers: Headers, arguments: str, body: bytes) -> Texts:
    return Texts([task_id, arguments, *(f"{name}: {value}" for name, value in headers)], body)


def _recorded_texts(entry: Span) -> Texts:
    headers = spans.decode_headers(entry.attributes, HEADERS)
    return _texts(entry.text(TASK_ID) or "", headers, entry.text(ARGUMENTS) or "", entry.payload(BODY) or b"")


def _facts(attributes: Mapping[str, object]) -> dict[str, Any]:
    name = str(attributes.get(NAME, ""))
    found: dict[str, Any] = {"method": _METHOD, "target": name, "route": name}
    return {**found, "has_body": True} if spans.payload_is_there(attributes, BODY) is not None else found


def _recorded_keys(entry: Span) -> Iterator[Hashable]:
    if task_id := entry.text(TASK_ID):
        yield task_id, entry.attributes.get(RETRIES)
    if (arguments := entry.text(ARGUMENTS)) is not None:
        yield arguments


def _live_keys(task: Task) -> Iterator[Hashable]:
    if task.id:
        yield task.id, task.retries
    yield shown(task.arguments)


def _label(attributes: Mapping[str, object]) -> tuple[str | None, str | None]:
    name = attributes.get(NAME)
    return _METHOD, name if isinstance(name, str) else None


def _told(attributes: Mapping[str, object]) -> str:
    state = attributes.get(STATE)
    return state if isinstance(state, str) and state not in {"SUCCESS", "IGNORED"} else ""


KIND = EntryKind(
    name="task",
    reads=lambda attributes: attributes.get(spans.ENTRY_KIND) == "task",
    facts=_facts,
    needed=frozenset({"method", "target", "has_body"}),
    texts=_recorded_texts,
    request=Side(
        facts={"id": TASK_ID, "arguments": ARGUMENTS, "queue": QUEUE, "retries": RETRIES, "eta": ETA},
        headers={"headers": HEADERS},
        body=BODY,
    ),
    response=Side(facts={"state": STATE, "traceback": TRACEBACK}, body=OUTCOME),
    label=_label,
    follower=by_keys(_recorded_keys, _live_keys),
    told=_told,
    outcome=lambda attributes: outcome_in(attributes, OUTCOME),
)
