"""Tasks that a worker takes from a queue: what its seam sees of one, and how a recorded one is read."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.trace import SpanKind

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.kinds import Chosen, Claim, EntryKind, Follower, Outlined, Side, Texts
from timetracer_otel.cassette.model import Lane, Span
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
    "Outcome",
    "Payload",
    "Task",
    "plain",
]

KIND_NAME: Final = "timetracer.entry.kind"
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
_UNKNOWN_CLASS: Final = "object at 0x"


@dataclass(slots=True)
class Payload:
    """A message of a task.

    Attributes:
        payload: the attribute that it goes into.
        body: its pieces.
    """

    payload: str
    body: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ended.

    Attributes:
        state: such as ``SUCCESS``, ``FAILURE``, ``RETRY``, ``REJECTED``, ``IGNORED``.
        value: what it returned; of a retry, when it is to be tried again.
        error: what it raised, or why it is tried again.
        traceback: of that, for people.
    """

    state: str
    value: object = None
    error: BaseException | None = None
    traceback: str = ""

    @property
    def encoded(self) -> bytes:
        """As a verification compares it."""
        told: dict[str, object] = {"state": self.state, "value": plain(self.value)}
        if self.error is not None:
            described = json.loads(exceptions.encoded(self.error))
            told["error"] = {name: described.get(name) for name in ("type", "args", "text")}
        return json.dumps(told, sort_keys=True).encode()


@dataclass(slots=True)
class Task:
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

    @property
    def kind(self) -> str:
        """The name of :data:`KIND`."""
        return "task"

    @property
    def span_kind(self) -> SpanKind:
        """Of a span of our own."""
        return SpanKind.CONSUMER

    @property
    def method(self) -> str:
        """What file names and lists begin with."""
        return _METHOD

    @property
    def path(self) -> str:
        """The task's name."""
        return self.target

    @property
    def name(self) -> str:
        """For people."""
        return f"{_METHOD} {self.target}"

    @property
    def messages(self) -> Sequence[Message]:
        """The message's body."""
        return (self.came,)

    @property
    def failed(self) -> bool:
        """Whether it raised."""
        return self.outcome is not None and self.outcome.state == "FAILURE"

    @property
    def texts(self) -> Texts:
        """Id, headers, arguments and body."""
        return _texts(self.id, self.headers, _shown(self.arguments), b"".join(self.came.body))

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
            KIND_NAME: self.kind,
            spans.PLUGIN: self.plugin,
            NAME: self.target,
            TASK_ID: self.id,
            RETRIES: self.retries,
            ARGUMENTS: _shown(self.arguments),
        }
        if self.came.body:  # of a plain call there is no message
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


def plain(value: object) -> object:
    """Give a value as JSON holds it; what JSON does not know, by what it says of itself.

    Args:
        value: an argument or a result.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    told = repr(value)
    return type(value).__qualname__ if _UNKNOWN_CLASS in told else told


def _shown(arguments: object) -> str:
    return json.dumps(plain(arguments), sort_keys=True)


def _texts(task_id: str, headers: Headers, arguments: str, body: bytes) -> Texts:
    return Texts([task_id, arguments, *(f"{name}: {value}" for name, value in headers)], body)


def _recorded_texts(entry: Span) -> Texts:
    headers = spans.decode_headers(entry.attributes, HEADERS)
    return _texts(entry.text(TASK_ID) or "", headers, entry.text(ARGUMENTS) or "", entry.payload(BODY) or b"")


def _facts(attributes: Mapping[str, object]) -> dict[str, Any]:
    name = str(attributes.get(NAME, ""))
    found: dict[str, Any] = {"method": _METHOD, "target": name, "route": name}
    return {**found, "has_body": True} if spans.payload_is_there(attributes, BODY) is not None else found


def _outcome(attributes: Mapping[str, object]) -> object:
    """What is compared; a plain call has no message, and is compared all the same."""
    encoded = spans.decode_payload(attributes, OUTCOME)
    return None if encoded is None else json.loads(encoded)


class _TaskFollower:
    """The recorded executions, looked up by id and retries, else by name and arguments.

    Args:
        outlines: of them.
        read: gives one by its id.
        claim: takes a name that only one process of the replay may have.
    """

    def __init__(self, outlines: Sequence[Outlined], read: Callable[[str], Lane | None], claim: Claim) -> None:
        self._read = read
        self._claim = claim
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._followed: dict[str, int] = defaultdict(int)
        for outline in outlines:
            self._by_name[outline.target].append(outline.id)

    def wants_whole(self, entry: Task) -> bool:
        """A message is always whole."""
        return False

    def choose(self, entry: Task) -> Chosen:
        """Give the lane that an execution follows, and count it as followed.

        The one of the same id and number of retries; else, of those with the same arguments, the least followed, then
        the earliest.

        Args:
            entry: as it begins.
        """
        lanes = [lane for one in self._by_name[entry.target] if (lane := self._read(one)) is not None and lane.entry]
        same = [lane for lane in lanes if _is_same(lane, entry)]
        alike = same or [lane for lane in lanes if _arguments(lane) == _shown(entry.arguments)]
        while alike:
            lane = min(alike, key=lambda one: self._followed[one.id])
            followed = self._followed[lane.id]
            self._followed[lane.id] += 1
            if self._claim(f"{lane.id}-{followed}"):
                return Chosen(lane)
        return Chosen(None)

    def forked(self) -> None:
        """There is no lock."""


def _is_same(lane: Lane, entry: Task) -> bool:
    assert lane.entry is not None  # noqa: S101 - only such are asked about
    attributes = lane.entry.attributes
    return bool(entry.id) and (attributes.get(TASK_ID), attributes.get(RETRIES)) == (entry.id, entry.retries)


def _arguments(lane: Lane) -> str | None:
    return None if lane.entry is None else lane.entry.text(ARGUMENTS)


def _follower(outlines: Sequence[Outlined], read: Callable[[str], Lane | None], claim: Claim) -> Follower:
    return _TaskFollower(outlines, read, claim)


def _label(attributes: Mapping[str, object]) -> tuple[str | None, str | None]:
    name = attributes.get(NAME)
    return _METHOD, name if isinstance(name, str) else None


def _told(attributes: Mapping[str, object]) -> str:
    state = attributes.get(STATE)
    return state if isinstance(state, str) and state not in {"SUCCESS", "IGNORED"} else ""


KIND = EntryKind(
    name="task",
    reads=lambda attributes: attributes.get(KIND_NAME) == "task",
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
    follower=_follower,
    told=_told,
    outcome=_outcome,
)
