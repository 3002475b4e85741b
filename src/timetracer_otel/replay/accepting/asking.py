"""Asking the user for each difference, as snapshot tools do."""

from __future__ import annotations

import sys
from typing import Final

from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.results import Verified

__all__ = ["Questions", "everything"]

_HELP: Final = "y accepts this one, n leaves it, all accepts this one and all that follow, quit leaves all that follow"


def everything(_verified: Verified, _difference: Difference) -> bool:
    """Accept all."""
    return True


class Questions:
    """Asks on stdout, and reads the answers from stdin; where that ends nothing more is accepted."""

    def __init__(self) -> None:
        self._lane = ""
        self._settled: bool | None = None

    def ask(self, verified: Verified, difference: Difference) -> bool:
        """Ask for one difference.

        Args:
            verified: the lane that it is of.
            difference: the difference.
        """
        if self._settled is not None:
            return self._settled
        if verified.lane != self._lane:
            self._lane = verified.lane
            print(f"{verified.name} (lane {verified.lane})")  # noqa: T201 - the command speaks to its user
        print(f"  {difference}")  # noqa: T201 - as above
        for place in difference.fields[1:]:
            print(f"    {place}")  # noqa: T201 - as above
        while (answer := self._answer()) not in {"y", "yes", "n", "no", "all", "a", "quit", "q"}:
            print(_HELP)  # noqa: T201 - as above
        if answer[0] in "aq":
            self._settled = answer[0] == "a"
        return answer[0] in "ya"

    @staticmethod
    def _answer() -> str:
        print("  accept? [y/n/all/quit] ", end="", flush=True)  # noqa: T201 - as above
        line = sys.stdin.readline()
        return line.strip().lower() if line else "quit"
