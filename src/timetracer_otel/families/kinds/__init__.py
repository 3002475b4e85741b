"""The kinds of entries that we know: one module each, found by looking into this folder."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from timetracer_otel.cassette.kinds import EntryKind

__all__ = ["discover"]


def discover() -> Iterator[EntryKind]:
    """Give every kind. A module declares one as ``KIND``; it imports no library."""
    for module in pkgutil.iter_modules(__path__, __name__ + "."):
        if not module.name.rpartition(".")[2].startswith("_"):
            kind = getattr(importlib.import_module(module.name), "KIND", None)
            if isinstance(kind, EntryKind):
                yield kind
