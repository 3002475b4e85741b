"""Servers that watch over their workers: ours take longer to start."""

from __future__ import annotations

from typing import Any, Final
from weakref import WeakSet

from timetracer_otel.seams import Patch

__all__ = ["PATCHES"]

_awake: WeakSet[Any] = WeakSet()
"""Workers that have answered once."""


def _patient_ping(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> bool:
    """Go around uvicorn's ``Process.ping``: it kills a worker that does not answer for 5 seconds.

    A worker answers from its first line on, but before that it sets the recording or the replay up, which takes longer
    where the machine is small or busy: until its first answer it is alive while its process is.
    """
    if wrapped(*args, **kwargs):
        _awake.add(instance)
        return True
    return instance not in _awake and bool(instance.process.is_alive())


PATCHES: Final = (Patch("uvicorn.supervisors.multiprocess", "Process.ping", _patient_ping),)
