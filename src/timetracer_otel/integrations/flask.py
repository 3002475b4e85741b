"""Flask: each request that reaches ``Flask.__call__`` is an entry."""

from __future__ import annotations

from timetracer_otel.families.entry import apps
from timetracer_otel.families.entry.wsgi import TimeTracerMiddleware, wsgi_call
from timetracer_otel.seams import Patch

__all__ = ["INTEGRATION", "TimeTracerMiddleware", "auto_setup"]

INTEGRATION = apps.entry(
    "flask", Patch("flask.app", "Flask.__call__", wsgi_call), packages={"flask": "flask", "werkzeug": "werkzeug"}
)
auto_setup = apps.auto_setup(INTEGRATION)
