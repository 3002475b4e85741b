"""uuid_utils: ids from Rust, of a class of its own."""

from __future__ import annotations

from timetracer_otel.seams import Generator

__all__ = ["GENERATORS"]

GENERATORS = tuple(
    Generator(module, name, "uuid")
    for module in ("uuid_utils", "uuid_utils.compat")
    for name in ("uuid1", "uuid4", "uuid6", "uuid7")
)
