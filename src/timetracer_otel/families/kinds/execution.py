"""Functions that something in the program itself runs: a scheduler's job, a command of a long-lived process."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from timetracer_otel import spans
from timetracer_otel.cassette.kinds import EntryKind, Side, Texts
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.kinds._consumed import Ran, RunByItself, facts, label
from timetracer_otel.families.kinds._follower import by_keys
from timetracer_otel.families.kinds._outcome import Outcome, outcome_in, plain, shown
from timetracer_otel.seams import exceptions

__all__ = ["KIND", "Execution", "Outcome", "arguments", "imported"]

NAME: Final = "timetracer.execution.name"
EXECUTION_ID: Final = "timetracer.execution.id"
TRIGGER: Final = "timetracer.execution.trigger"
"""Why it ran, in the library's words: ``every 5 minutes``."""
ARGUMENTS: Final = "timetracer.execution.arguments"
OUTCOME: Final = "timetracer.execution.outcome"
"""What came of it, in JSON: what a verification compares."""
STATE: Final = "timetracer.execution.state"
_METHOD: Final = "EXECUTION"


@dataclass(slots=True)
class Execution(RunByItself, Ran):
    """A function that runs once, an entry.

    Attributes:
        target: its name, or that of the job.
        given: its arguments; what JSON knows of them can be given again.
        plugin: the integration that recorded it.
        id: of this run, where the library has one.
        trigger: why it runs.
        follows: in a replay, the id of the recorded lane that it was handed out from.
        outcome: once it has ended.
    """

    target: str
    given: object
    plugin: str
    id: str = ""
    trigger: str = ""
    follows: str = ""
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        self.given = plain(self.given)  # as they are now: the function may change what it is given

    @property
    def kind(self) -> str:
        """The name of :data:`KIND`."""
        return "execution"

    @property
    def method(self) -> str:
        """What file names and lists begin with."""
        return _METHOD

    @property
    def texts(self) -> Texts:
        """Id and arguments."""
        return Texts([self.id, shown(self.given)])

    def header(self, name: str) -> str | None:
        """The lane that it follows; there are no headers."""
        return self.follows or None if name == spans.LANE_HEADER else None

    def end(self, error: BaseException | None) -> None:
        """Take the outcome of what gives no value.

        Args:
            error: that it raised.
        """
        self.outcome = Outcome.succeeded(None) if error is None else Outcome.failed(error)

    def attributes(self, error: BaseException | None) -> dict[str, spans.Attribute]:
        """Encode what ran, and what came of it."""
        encoded: dict[str, spans.Attribute] = {
            spans.ENTRY_KIND: self.kind,
            spans.PLUGIN: self.plugin,
            NAME: self.target,
            ARGUMENTS: shown(self.given),
        }
        encoded |= {name: value for name, value in ((EXECUTION_ID, self.id), (TRIGGER, self.trigger)) if value}
        if self.outcome is None:
            encoded[spans.INCOMPLETE] = "response"
        else:
            encoded |= {STATE: self.outcome.state, **spans.encode_payload(OUTCOME, self.outcome.encoded)}
        if error is not None:
            encoded[spans.ERROR] = exceptions.encoded(error)
        return encoded


def imported(plugin: str) -> Callable[[str], dict[str, spans.Attribute]]:
    """Give what makes the attributes of an execution that was recorded by another tool, from its name.

    Args:
        plugin: what runs such functions.
    """
    return lambda name: Execution(name, None, plugin, outcome=Outcome.succeeded(None)).attributes(None)


def arguments(entry: Span) -> Any:
    """Give the recorded arguments, as far as JSON knows them.

    Args:
        entry: the entry's span.
    """
    return orjson.loads(entry.text(ARGUMENTS) or "null")


def _recorded_keys(entry: Span) -> Iterator[Hashable]:
    if run := entry.text(EXECUTION_ID):
        yield "id", run
    if (given := entry.text(ARGUMENTS)) is not None:
        yield "given", given


def _live_keys(execution: Execution) -> Iterator[Hashable]:
    if execution.id:
        yield "id", execution.id
    yield "given", shown(execution.given)


KIND = EntryKind(
    name="execution",
    reads=lambda attributes: attributes.get(spans.ENTRY_KIND) == "execution",
    facts=facts(_METHOD, NAME),
    needed=frozenset({"method", "target"}),
    texts=lambda entry: Texts([entry.text(EXECUTION_ID) or "", entry.text(ARGUMENTS) or ""]),
    request=Side(facts={"id": EXECUTION_ID, "trigger": TRIGGER, "arguments": ARGUMENTS}),
    response=Side(facts={"state": STATE}, body=OUTCOME),
    label=label(_METHOD, NAME),
    follower=by_keys(_recorded_keys, _live_keys),
    told=lambda attributes: "FAILURE" if attributes.get(STATE) == "FAILURE" else "",
    outcome=lambda attributes: outcome_in(attributes, OUTCOME),
)
