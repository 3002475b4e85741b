"""cuid2: hashes of random values, a clock, and a counter of the process."""

from __future__ import annotations

from timetracer_otel.seams import Generator

__all__ = ["GENERATORS"]

GENERATORS = (
    Generator("cuid2.generator", "Cuid.generate", "uuid"),
    Generator("cuid2.generator", "create_id", "uuid"),
    Generator("cuid2", "create_id", "uuid"),
)
