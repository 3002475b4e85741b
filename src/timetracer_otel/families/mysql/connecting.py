"""Connections to MySQL that could not be made: recorded, and raised again in their turn."""

from __future__ import annotations

from contextlib import AbstractContextManager

from timetracer_otel.families import failures
from timetracer_otel.families.failures import Attempt
from timetracer_otel.families.mysql import matching
from timetracer_otel.families.mysql.asked import QUERY
from timetracer_otel.families.mysql.exchange import names

__all__ = ["attempt"]


def attempt(plugin: str) -> AbstractContextManager[Attempt | None]:
    """Around all that a driver does to connect: its failure is recorded, and raised again in its turn.

    Args:
        plugin: the integration's name.

    Returns:
        what gives the attempt, while calls are recorded.
    """
    named = names(QUERY, "", "", ("", None), kind="CONNECT")
    return failures.attempt(plugin, matching.CONNECT, matching.CONNECTING, named)
