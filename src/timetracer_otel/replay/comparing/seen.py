"""What a replay noted of one lane, as far as a new recording of it is made of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from timetracer_otel.replay.comparing.calls import LaneNotes

__all__ = ["Seen"]


@dataclass(frozen=True, slots=True)
class Seen:
    """The live run of a lane, or of a script with the processes that it started.

    Attributes:
        answered: the notes of its calls that were answered.
        fresh: those of what it drew that the recording does not have.
        entry: the attributes of the live entry; None of a script.
        printed: what each process of a script wrote to stdout, by the recorded session that it follows.
        status: its exit status.
    """

    answered: Sequence[Mapping[str, Any]]
    fresh: Sequence[Mapping[str, Any]]
    entry: Mapping[str, Any] | None = None
    printed: Mapping[str, bytes] = field(default_factory=dict)
    status: int | None = None

    @classmethod
    def of_lane(cls, lane: LaneNotes, processes: LaneNotes) -> Self:
        """The live run of an entry.

        Args:
            lane: its notes.
            processes: those of the processes that it started.
        """
        return cls([*lane.answered, *processes.answered], [*lane.fresh, *processes.fresh], lane.entry)
