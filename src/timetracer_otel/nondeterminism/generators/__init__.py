"""Libraries whose public functions draw where Python does not see it: one module each, found by looking here.

A module declares ``GENERATORS``, and imports without its library being installed. What draws inside such a function is
not counted: the call is the draw.
"""

from __future__ import annotations

import importlib
import pkgutil

from timetracer_otel.seams import Generator

__all__ = ["discover"]


def discover() -> tuple[Generator, ...]:
    """Give the functions of all libraries."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__, __name__ + "."))
    return tuple(one for name in names for one in importlib.import_module(name).GENERATORS)
