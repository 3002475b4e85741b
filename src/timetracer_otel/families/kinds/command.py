"""Commands: a script's or a command's run, that of its whole process or of a block in one that runs many."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.kinds import EntryKind, Side, Texts
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.kinds._consumed import RunByItself, facts, label
from timetracer_otel.families.kinds._follower import by_keys
from timetracer_otel.families.kinds._outcome import Outcome, plain, shown
from timetracer_otel.seams import exceptions
from timetracer_otel.seams.streams import Passed

__all__ = ["KIND", "PLUGIN", "Command"]

NAME: Final = "timetracer.command.name"
ARGUMENTS: Final = "timetracer.command.arguments"
"""In JSON: the words behind a command, or what a block or a function was given."""
PLUGIN: Final = "command"
_METHOD: Final = "COMMAND"


@dataclass(slots=True)
class Command(RunByItself):
    """One run of a command, an entry. Its streams are no messages: they are kept as those of a session are.

    Attributes:
        target: its name.
        given: its arguments; secrets are masked.
        passed: what went through the standard streams; None where the session of the process has it.
        outcome: once it has ended.
    """

    target: str
    given: object
    passed: Passed | None = None
    outcome: Outcome | None = None
    plugin: str = field(default=PLUGIN, init=False)

    def __post_init__(self) -> None:
        self.given = plain(_masked(self.given))

    @property
    def kind(self) -> str:
        """The name of :data:`KIND`."""
        return "command"

    @property
    def method(self) -> str:
        """What file names and lists begin with."""
        return _METHOD

    @property
    def texts(self) -> Texts:
        """Arguments, and what it has read."""
        return Texts([shown(self.given)], b"" if self.passed is None else self.passed.kept(spans.SESSION_STDIN))

    @property
    def status(self) -> int | None:
        """The exit status that it would end a process with; None before its end, and where a replay had no answer."""
        if self.outcome is None:
            return None
        error = self.outcome.error
        if isinstance(error, SystemExit):
            return exceptions.exit_status(error)
        return 0 if error is None else exceptions.INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1

    def exits_with(self, error: SystemExit) -> int:
        """Take that it asks for an exit status, and give that.

        Args:
            error: that asks.
        """
        self.outcome = Outcome("FAILURE" if exceptions.exit_status(error) else "SUCCESS", error=error)
        return exceptions.exit_status(error)

    @property
    def failed(self) -> bool:
        """Whether its exit status is another than 0."""
        return bool(self.status)

    def attributes(self, error: BaseException | None) -> dict[str, spans.Attribute]:
        """Encode what ran, and of a block what came of it; what came of a process its session says."""
        encoded: dict[str, spans.Attribute] = {
            spans.ENTRY_KIND: self.kind,
            spans.PLUGIN: self.plugin,
            NAME: self.target,
            ARGUMENTS: shown(self.given),
        }
        if self.passed is not None:
            encoded |= self.passed.attributes()
            status = self.status
            encoded |= {spans.INCOMPLETE: "response"} if status is None else {spans.SESSION_EXIT_STATUS: status}
        if error is not None:
            encoded[spans.ERROR] = exceptions.encoded(error)
        return encoded


def _masked(given: object) -> object:
    """Hide secrets as in a command line, and under names that speak of one."""
    if isinstance(given, Mapping):
        return {name: _masked_member(str(name), value) for name, value in given.items()}
    if isinstance(given, list | tuple):
        words = [value if isinstance(value, str) else "" for value in given]
        hidden = redaction.arguments(words)
        return [one if isinstance(value, str) else _masked(value) for value, one in zip(given, hidden, strict=True)]
    return given


def _masked_member(name: str, value: object) -> object:
    if isinstance(value, str):
        return redaction.MASK if redaction.is_secret_parameter(name, value) else redaction.url(value)
    return _masked(value)


def _status(attributes: Mapping[str, object]) -> int | None:
    status = attributes.get(spans.SESSION_EXIT_STATUS)
    return status if isinstance(status, int) and not isinstance(status, bool) else None


def _told(attributes: Mapping[str, object]) -> str:
    status = _status(attributes)
    if not status:
        return ""
    by = next((f" ({one.name})" for one in signal.Signals if status == exceptions.BY_SIGNAL + one), "")
    return f"exit status {status}{by}"


def _outcome(attributes: Mapping[str, object]) -> Any:
    """What came of one: status, what it raised, and the lines that it wrote."""
    if (status := _status(attributes)) is None:
        return None
    outcome: dict[str, object] = {"status": status}
    if isinstance(error := attributes.get(spans.ERROR), str):
        described = json.loads(error)
        outcome["error"] = {name: described.get(name) for name in ("type", "args", "text")}
    for stream, name in (("stdout", spans.SESSION_STDOUT), ("stderr", spans.SESSION_STDERR)):
        written = spans.decode_payload(attributes, name) or b""
        outcome[stream] = written.decode("utf-8", "backslashreplace").splitlines(keepends=True)
        for ending in (spans.TOTAL, spans.SHA256):
            if name + ending in attributes:
                outcome[stream + ending] = attributes[name + ending]
    return outcome


def _recorded_texts(entry: Span) -> Texts:
    return Texts([entry.text(ARGUMENTS) or ""], entry.payload(spans.SESSION_STDIN) or b"")


KIND = EntryKind(
    name="command",
    reads=lambda attributes: attributes.get(spans.ENTRY_KIND) == "command",
    facts=facts(_METHOD, NAME),
    needed=frozenset({"method", "target"}),
    texts=_recorded_texts,
    request=Side(facts={"arguments": ARGUMENTS}, body=spans.SESSION_STDIN),
    response=Side(facts={"exit_status": spans.SESSION_EXIT_STATUS}, body=spans.SESSION_STDOUT),
    label=label(_METHOD, NAME),
    follower=by_keys(lambda entry: [entry.text(ARGUMENTS)], lambda command: [shown(command.given)]),
    status=_status,
    told=_told,
    outcome=_outcome,
    is_run_again=True,
)
