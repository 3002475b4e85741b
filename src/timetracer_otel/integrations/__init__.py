"""The libraries that we record and replay: one module each, found by looking into this folder."""

from __future__ import annotations

import importlib
import pkgutil

from timetracer_otel.seams import Integration

__all__ = ["discover"]


def discover() -> dict[str, Integration]:
    """Give every integration by its name.

    A module declares one as ``INTEGRATION``, and imports without its library being installed.
    """
    found: dict[str, Integration] = {}
    for module in pkgutil.iter_modules(__path__, __name__ + "."):
        if not module.name.rpartition(".")[2].startswith("_"):
            integration = getattr(importlib.import_module(module.name), "INTEGRATION", None)
            if isinstance(integration, Integration):
                found[integration.name] = integration
    return found
