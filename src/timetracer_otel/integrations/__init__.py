"""The libraries that we record and replay: one module each, found by looking into this folder.

Other packages bring theirs by an entry point of the group ``timetracer_otel.integrations``.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from timetracer_otel.cassette.version1 import Library
from timetracer_otel.seams import Integration
from timetracer_otel.seams.instrumentors import declared

__all__ = ["GROUP", "discover", "known_to_version1", "named"]

GROUP = "timetracer_otel.integrations"
"""The entry points by which other packages declare a library: each names an :class:`Integration` or its module."""

_log = logging.getLogger("timetracer_otel")
_told: set[str] = set()


def discover() -> dict[str, Integration]:
    """Give every integration by its name.

    A module declares one as ``INTEGRATION``, and imports without its library being installed. One of another package
    that cannot be imported, or whose name is taken, is left out with a warning.
    """
    found: dict[str, Integration] = {}
    for integration in (*_ours(), *_of_others()):
        if integration.name in found:
            _tell(f"two integrations are named {integration.name!r}: only the first is used")
        found.setdefault(integration.name, integration)
    return found


@cache
def named(name: str | None) -> Integration | None:
    """Give one integration by its name. To import that alone takes a tenth of the time that all take.

    Args:
        name: as a span has it; None when it has none.
    """
    if name is None:
        return None
    module = name.replace("-", "_")
    integration = _declared_in(module) if module in _modules() else None
    return integration if integration is not None and integration.name == name else discover().get(name)


def known_to_version1() -> dict[str, Library]:
    """Give the libraries whose calls cassettes of timetracer 1.x hold, by the names that they have there."""
    known = [(one.name, library) for one in discover().values() for library in one.version1]
    return {library.name: replace(library, plugin=plugin) for plugin, library in known}


def _ours() -> Iterator[Integration]:
    return filter(None, map(_declared_in, _modules()))


def _modules() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]


def _declared_in(module: str) -> Integration | None:
    integration = getattr(importlib.import_module(f"{__name__}.{module}"), "INTEGRATION", None)
    return integration if isinstance(integration, Integration) else None


def _of_others() -> Iterator[Integration]:
    for entry in declared(GROUP):
        try:
            loaded = entry.load()
        except Exception as error:  # noqa: BLE001 - another package's fault must not stop the recording of the rest
            _tell(f"the integration {entry.name!r} ({entry.value}) cannot be imported: {type(error).__name__}: {error}")
            continue
        integration = getattr(loaded, "INTEGRATION", loaded)
        if isinstance(integration, Integration):
            yield integration
        else:
            _tell(f"the integration {entry.name!r} ({entry.value}) is no timetracer_otel.seams.Integration")


def _tell(what: str) -> None:
    if what not in _told:
        _told.add(what)
        _log.warning("timetracer: %s", what)
