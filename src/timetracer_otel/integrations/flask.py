"""Flask: each request that reaches ``Flask.__call__`` is an entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timetracer_otel.families.entry import apps
from timetracer_otel.families.entry.wsgi import TimeTracerMiddleware, wsgi_call
from timetracer_otel.seams import Integration, Patch

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["INTEGRATION", "TimeTracerMiddleware", "auto_setup"]

_INSTRUMENTOR = "opentelemetry.instrumentation.flask:FlaskInstrumentor"

INTEGRATION = Integration(
    name="flask",
    patches=(Patch("flask.app", "Flask.__call__", wsgi_call),),
    apps=(Patch("flask.app", "Flask.__init__", apps.instrumenting(_INSTRUMENTOR)),),
)


def auto_setup(app: Flask, **settings: Any) -> Flask:
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
