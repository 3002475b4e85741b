"""bcrypt: salts, which it draws in Rust from version 4.1 on."""

from __future__ import annotations

from timetracer_otel.seams import Generator

__all__ = ["GENERATORS"]

GENERATORS = (Generator("bcrypt", "gensalt", "secrets"),)
