"""fastuuid: ids from Rust, of a class of its own."""

from __future__ import annotations

from timetracer_otel.seams import Generator

__all__ = ["GENERATORS"]

GENERATORS = tuple(Generator("fastuuid", name, "uuid") for name in ("uuid1", "uuid4", "uuid7", "uuid_v1mc"))
