"""What a verification found of each lane and script, and the sum of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from timetracer_otel.replay.comparing.differences import Difference, Drawn
from timetracer_otel.replay.comparing.seen import Seen

__all__ = ["Result", "Verified"]


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
