"""The faults that a verification can find in a request or a script, and their sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from timetracer_otel.replay.comparing.values import FieldDifference

if TYPE_CHECKING:
    from timetracer_otel.replay.comparing.seen import Seen

__all__ = ["Difference", "Drawn", "Kind", "Result", "Verified"]

Kind: TypeAlias = Literal[
    "status",
    "outcome",
    "header",
    "body",
    "missing",
    "extra",
    "changed",
    "reordered",
    "refused",
    "output",
    "exit status",
    "error",
    "slower",
]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was recorded.

    Attributes:
        kind: which part; ``missing``, ``extra``, ``changed`` and ``reordered`` are calls.
        what: the header's name, the call in words, or what happened.
        fields: where it differs.
        warning: whether it is only told and fails nothing.
        span: the recorded call, where there is one.
        consequences: what followed from it, and is no difference of its own.
        number: the place in the live run of a call that nothing answered, from 1; 0 of all else.
        start: when the recorded call began, where that is known.
        note: the place in the live run of the call that this is about; 0 where there is none.
        assumed: whether it rests on an answer to a call that asked something else (``--on-miss nearest``).
    """

    kind: Kind
    what: str
    fields: tuple[FieldDifference, ...] = ()
    warning: bool = False
    span: str | None = None
    consequences: tuple[Difference, ...] = ()
    number: int = 0
    start: int = 0
    note: int = 0
    assumed: bool = False

    @property
    def flat(self) -> Iterator[Difference]:
        """This one, and what followed from it."""
        yield self
        for one in self.consequences:
            yield from one.flat

    def __str__(self) -> str:
        more = f" (and {len(self.fields) - 1} more)" if len(self.fields) > 1 else ""
        where = f": {self.fields[0]}{more}" if self.fields else ""
        return f"{self.kind}{' ' + self.what if self.what else ''}{where}"

    def as_json(self) -> dict[str, Any]:
        """The difference as data."""
        return {
            "kind": self.kind,
            "what": self.what,
            "fields": [one.as_json() for one in self.fields],
            "warning": self.warning,
            "span": self.span,
            "assumed": self.assumed,
            "consequences": [one.as_json() for one in self.consequences],
        }


@dataclass(frozen=True, slots=True)
class Drawn:
    """Values that the app drew and that the recording does not have: a likely cause of what differs.

    Attributes:
        kind: such as ``uuid4``.
        module: of the app.
        statement: that drew.
        times: how often.
    """

    kind: str
    module: str
    statement: str
    times: int

    def __str__(self) -> str:
        often = f" ({self.times} times)" if self.times > 1 else ""
        return f"{self.kind} in {self.module}: {self.statement}{often}"

    def as_json(self) -> dict[str, Any]:
        """The draws as data."""
        return {"kind": self.kind, "module": self.module, "statement": self.statement, "times": self.times}


@dataclass(frozen=True, slots=True)
class Verified:
    """How one recorded lane, or one script's session, compared.

    Attributes:
        lane: its recorded id.
        name: method and target, or the program.
        operation: method and route.
        file: the cassette.
        seconds: how long the answer took.
        differences: in the order in which they matter.
        calls: how many of its calls were answered.
        drawn: what it drew that the recording does not have.
        driven: whether anything was there that could start the lane again.
        assumed: how many of its calls were answered by or behind one that asked something else.
        seen: the notes of the replay, where what is now is to become the recording.
    """

    lane: str
    name: str
    operation: str
    file: str
    seconds: float
    differences: Sequence[Difference]
    calls: int = 0
    drawn: Sequence[Drawn] = ()
    driven: bool = True
    assumed: int = 0
    seen: Seen | None = field(default=None, compare=False, repr=False)

    @property
    def matched(self) -> bool:
        """Whether nothing differs that counts."""
        return all(one.warning for one in self.differences)

    def as_json(self) -> dict[str, Any]:
        """The comparison as data."""
        return {
            "lane": self.lane,
            "request": self.name,
            "operation": self.operation,
            "file": self.file,
            "seconds": round(self.seconds, 6),
            "driven": self.driven,
            "matched": self.matched,
            "calls": self.calls,
            "assumed": self.assumed,
            "differences": [one.as_json() for one in self.differences],
            "drawn_anew": [one.as_json() for one in self.drawn],
        }


@dataclass(slots=True)
class Result:
    """A whole verification.

    Attributes:
        verified: every lane that was driven, in recorded order; then those that nothing drives.
        not_sent: the requests that the command was not there to take: see ``problems``.
        problems: what went wrong outside any lane; each fails the verification.
        notes: what is worth knowing and fails nothing.
        seconds: how long it took.
        sending: how much of that requests were under way.
        ignored: how many differences the ignore list hid.
    """

    verified: list[Verified] = field(default_factory=list)
    not_sent: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    sending: float = 0.0
    ignored: int = 0

    @property
    def checked(self) -> int:
        """How many lanes were driven and compared."""
        return sum(one.driven for one in self.verified)

    @property
    def passed(self) -> int:
        """How many of them matched."""
        return sum(one.driven and one.matched for one in self.verified)

    @property
    def undriven(self) -> int:
        """How many lanes nothing drives."""
        return len(self.verified) - self.checked

    @property
    def differing(self) -> list[Verified]:
        """The lanes that did not match, or that nothing drives."""
        return [one for one in self.verified if not one.matched]

    @property
    def exit_status(self) -> int:
        """0 when everything matched, else 1."""
        return 1 if self.problems or self.differing or self.not_sent or not self.verified else 0

    @property
    def kinds(self) -> Counter[str]:
        """How often each kind of difference was found, consequences not counted."""
        return Counter(
            str(one.kind) for lane in self.verified if lane.driven for one in lane.differences if not one.warning
        )

    @property
    def assumed(self) -> int:
        """How many calls rest on an answer to a call that asked something else."""
        return sum(one.assumed for one in self.verified)

    @property
    def drawn(self) -> int:
        """How many values the app drew that the recording does not have."""
        return sum(one.times for lane in self.verified for one in lane.drawn)

    def as_json(self) -> dict[str, Any]:
        """The report as data, for ``--report``."""
        return {
            "matched": self.exit_status == 0,
            "requests": len(self.verified) + len(self.not_sent),
            "checked": self.checked,
            "passed": self.passed,
            "differing": self.checked - self.passed,
            "undriven": self.undriven,
            "not_sent": self.not_sent,
            "ignored": self.ignored,
            "assumed": self.assumed,
            "drawn_anew": self.drawn,
            "seconds": round(self.seconds, 3),
            "sending_seconds": round(self.sending, 3),
            "kinds": dict(self.kinds),
            "problems": self.problems,
            "notes": self.notes,
            "verified": [one.as_json() for one in self.verified],
        }
