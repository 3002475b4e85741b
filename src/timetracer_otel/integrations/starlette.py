"""Starlette: each HTTP request that reaches ``Starlette.__call__`` is an entry."""

from __future__ import annotations

from timetracer_otel.families.entry import apps
from timetracer_otel.families.entry.asgi import TimeTracerMiddleware, asgi_call
from timetracer_otel.seams import Patch

__all__ = ["INTEGRATION", "TimeTracerMiddleware", "auto_setup"]

INTEGRATION = apps.entry("starlette", Patch("starlette.applications", "Starlette.__call__", asgi_call))
auto_setup = apps.auto_setup(INTEGRATION)
