"""Make any Python service's production trace replayable: record as OpenTelemetry, replay without any network."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - before any TracerProvider: imported after one, its fork hook deadlocks the SDK's
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from timetracer_otel.cassette import kinds
from timetracer_otel.errors import (
    CassetteError,
    ConfigError,
    IntegrationError,
    OutboundRefused,
    ReplayMiss,
    TimetracerError,
)

if TYPE_CHECKING:
    from timetracer_otel.autoload import install, uninstall
    from timetracer_otel.families.entry.command import command

__all__ = [
    "CassetteError",
    "ConfigError",
    "IntegrationError",
    "OutboundRefused",
    "ReplayMiss",
    "TimetracerError",
    "__version__",
    "command",
    "install",
    "uninstall",
]

__version__ = "0.1.0"
"""As in pyproject.toml: to read the package's metadata takes as long as many a command."""
_OF_THE_DOOR = frozenset({"install", "uninstall"})


def __getattr__(name: str) -> Any:
    """Give what stands on the OpenTelemetry SDK when it is asked for: who lists cassettes does not wait for it."""
    if name == "command":
        from timetracer_otel.families.entry.command import command  # noqa: PLC0415 - as above

        return command
    if name not in _OF_THE_DOOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from timetracer_otel import autoload  # noqa: PLC0415 - as above

    return getattr(autoload, name)


def _find_kinds() -> Iterable[kinds.EntryKind]:
    from timetracer_otel.families import kinds as families_of_entries  # noqa: PLC0415 - when an entry is looked at

    return families_of_entries.discover()


kinds.finders.append(_find_kinds)
