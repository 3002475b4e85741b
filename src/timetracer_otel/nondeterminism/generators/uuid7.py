"""uuid7, whose package is named uuid_extensions: as uuid6, it keeps the last time of the process."""

from __future__ import annotations

from timetracer_otel.seams import Generator

__all__ = ["GENERATORS"]

GENERATORS = tuple(Generator("uuid_extensions", name, "uuid") for name in ("uuid7", "uuid7str"))
