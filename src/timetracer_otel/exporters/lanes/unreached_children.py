"""Children whose calls no recording has: said when they are started."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from timetracer_otel import redaction

__all__ = ["tell"]

_log = logging.getLogger("timetracer_otel")
_told: set[str] = set()


def tell(_pid: int, command: Sequence[str], reachable: bool) -> None:  # noqa: FBT001 - as children.Started has it
    """Say, once a program, that a Python program which this process starts is not recorded.

    Args:
        command: its command line.
        reachable: whether it is set up as this process is; then nothing is said.
    """
    if not reachable and command[0] not in _told:
        _told.add(command[0])
        _log.warning(
            "timetracer does not record the calls of %s: it is another Python, or runs apart from this environment",
            " ".join(redaction.arguments(command))[:200],
        )
