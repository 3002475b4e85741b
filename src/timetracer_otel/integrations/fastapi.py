"""FastAPI: each HTTP request that reaches ``FastAPI.__call__`` is an entry.

Its own ``__call__`` writes ``root_path`` before Starlette's runs, so only this one sees the request as received.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timetracer_otel.families.entry import apps
from timetracer_otel.families.entry.asgi import TimeTracerMiddleware, asgi_call
from timetracer_otel.seams import Integration, Patch

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["INTEGRATION", "TimeTracerMiddleware", "auto_setup"]

_INSTRUMENTOR = "opentelemetry.instrumentation.fastapi:FastAPIInstrumentor"

INTEGRATION = Integration(
    name="fastapi",
    patches=(Patch("fastapi.applications", "FastAPI.__call__", asgi_call),),
    apps=(Patch("fastapi.applications", "FastAPI.__init__", apps.instrumenting(_INSTRUMENTOR)),),
)


def auto_setup(app: FastAPI, **settings: Any) -> FastAPI:
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
