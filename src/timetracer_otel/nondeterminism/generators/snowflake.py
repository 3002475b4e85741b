"""snowflake-id: numbers of a clock and a counter of the process, which never go back in time."""

from __future__ import annotations

from timetracer_otel.seams import Generator

__all__ = ["GENERATORS"]

GENERATORS = (Generator("snowflake.snowflake", "SnowflakeGenerator.__next__", "uuid"),)
