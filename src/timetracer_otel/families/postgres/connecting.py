"""Connections to PostgreSQL that could not be made: recorded, and raised again in their turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from timetracer_otel.families import failures
from timetracer_otel.families.failures import Attempt
from timetracer_otel.families.postgres import matching
from timetracer_otel.families.postgres.exchange import names

__all__ = ["attempt"]


@contextmanager
def attempt(plugin: str) -> Iterator[Attempt | None]:
    """Around all that a driver does to connect: its failure is recorded, and raised again in its turn.

    Args:
        plugin: the integration's name.

    Yields:
        the attempt, while calls are recorded.
    """
    named = names("", "", ("", None), kind="CONNECT")
    with failures.attempt(plugin, matching.CONNECT, matching.CONNECTING, named) as going:
        yield going
