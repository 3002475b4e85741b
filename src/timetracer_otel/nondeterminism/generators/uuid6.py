"""uuid6: a process's ids never go back in time, so that an old time given to its inside would give new ids."""

from __future__ import annotations

from timetracer_otel.seams import Generator

__all__ = ["GENERATORS"]

GENERATORS = tuple(Generator("uuid6", name, "uuid") for name in ("uuid6", "uuid7", "uuid8"))
