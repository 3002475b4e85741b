"""A consumer's loop as lanes: each delivery is one, from when the app gets it until it asks for the next.

No block of ours goes around the app's code there. What is under way when the program ends is ended then.
"""

from __future__ import annotations

import atexit
import sys
from functools import cache
from typing import Any
from weakref import WeakSet

from timetracer_otel.families.entry.running import opened
from timetracer_otel.families.kinds.message import Delivery
from timetracer_otel.seams import Lane, faults
from timetracer_otel.seams.brokering import is_brokering
from timetracer_otel.seams.lanes import process

__all__ = ["Consumption"]


class Consumption:
    """What one consumer is at work on: nothing, or one delivery.

    Inside another entry a delivery is no entry: it belongs to what asked for it.
    """

    def __init__(self) -> None:
        self._lane: Lane | None = None
        self._delivery: Delivery | None = None

    def begin(self, delivery: Delivery) -> None:
        """Let what the app does from here on belong to a delivery. A fault of ours is reported, not raised.

        Args:
            delivery: about to be given to the app.
        """
        self.end()
        if is_brokering():  # a message of a library's own, which runs a task for it
            return
        lane = opened(delivery)
        if lane is None:
            return
        try:
            lane.take_up()
            self._lane, self._delivery = lane, delivery
            _under_way().add(self)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report(f"{delivery.plugin}.take", error)

    def settle(self, what: str, record: int | None = None, **more: Any) -> None:
        """Take what the app tells the broker of the delivery.

        Args:
            what: ``ack``, ``nack``, ``reject``, ``commit``.
            record: the number of the message, from 0; None for all of them.
            more: whether it comes again, an offset, and the like.
        """
        if self._delivery is not None:
            self._delivery.settle(what, record, **more)

    def end(self, error: BaseException | None = None) -> None:
        """End the delivery: the app has come back for the next one, or closes. What it tells now is too late.

        Args:
            error: that ended the loop.
        """
        lane, delivery, self._lane, self._delivery = self._lane, self._delivery, None, None
        if lane is None or delivery is None:
            return
        try:
            lane.lay_down()
            if lane.pid == process.id and lane.life is process.life:  # else it is the parent's to end
                delivery.is_over = True
                lane.end_code()
                lane.finish(error)
        except Exception as fault:  # noqa: BLE001 - recording never breaks the app
            faults.report(f"{delivery.plugin}.over", fault)

    def leave(self) -> None:
        """Give the delivery up: its handling was interrupted, so it leaves no lane."""
        lane, self._lane, self._delivery = self._lane, None, None
        if lane is not None:
            lane.lay_down()


@cache
def _under_way() -> WeakSet[Consumption]:
    atexit.register(_end_all)
    return WeakSet()


def _end_all() -> None:
    """End what is under way. A message whose handling was interrupted by hand was not handled: it leaves no lane."""
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    if error is None or isinstance(error, Exception):
        for one in list(_under_way()):
            one.end(error)
