"""Starlette: each HTTP request that reaches ``Starlette.__call__`` is an entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timetracer_otel.families.entry import apps
from timetracer_otel.families.entry.asgi import TimeTracerMiddleware, asgi_call
from timetracer_otel.seams import Integration, Patch

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["INTEGRATION", "TimeTracerMiddleware", "auto_setup"]

_INSTRUMENTOR = "opentelemetry.instrumentation.starlette:StarletteInstrumentor"

INTEGRATION = Integration(
    name="starlette",
    patches=(Patch("starlette.applications", "Starlette.__call__", asgi_call),),
    apps=(Patch("starlette.applications", "Starlette.__init__", apps.instrumenting(_INSTRUMENTOR)),),
)


def auto_setup(app: Starlette, **settings: Any) -> Starlette:
    """Record or replay an app, and give it OpenTelemetry's instrumentation when it has none.

    Args:
        app: made, and not yet serving.
        settings: fields of :class:`timetracer_otel.config.Settings`; they win over environment variables.

    Returns:
        The same app. In mode off it is as it was.

    Raises:
        ConfigError: a setting is wrong, or another mode is in force already.
    """
    return apps.auto_setup(app, _INSTRUMENTOR, settings)
