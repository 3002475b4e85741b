"""What looks at a connection while it is recorded, and may never be noticed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from timetracer_otel.seams import Call, faults

__all__ = ["Onlooker"]


class Onlooker(ABC):
    """Looks at what passes. A fault of ours is reported, and the connection is left alone from then on."""

    _blind = False

    def _look(self, where: str, step: Callable[..., object], *args: Any, **options: Any) -> None:
        """Take a step, unless one has failed before.

        Args:
            where: a stable name of the place.
            step: what is done.
            args: for it.
            options: likewise.
        """
        if self._blind:
            return
        try:
            step(*args, **options)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            self._blind = True
            calls = [call for call in self._give_up() if call is not None]
            for call in calls:
                call.lose(where, error)
            if not calls:
                faults.report(where, error)

    @abstractmethod
    def _give_up(self) -> Iterable[Call | None]:
        """Give the calls that are under way, which will not be ended otherwise."""
