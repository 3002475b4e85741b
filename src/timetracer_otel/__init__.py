"""Make any Python service's production trace replayable: record as OpenTelemetry, replay without any network."""

from timetracer_otel.autoload import install, uninstall
from timetracer_otel.errors import (
    CassetteError,
    ConfigError,
    IntegrationError,
    OutboundRefused,
    ReplayMiss,
    TimetracerError,
)

__all__ = [
    "CassetteError",
    "ConfigError",
    "IntegrationError",
    "OutboundRefused",
    "ReplayMiss",
    "TimetracerError",
    "install",
    "uninstall",
]
