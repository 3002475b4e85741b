"""FastAPI: each HTTP request that reaches ``FastAPI.__call__`` is an entry.

Its own ``__call__`` writes ``root_path`` before Starlette's runs, so only this one sees the request as received.
"""

from __future__ import annotations

from timetracer_otel.families.entry import apps
from timetracer_otel.families.entry.asgi import TimeTracerMiddleware, asgi_call
from timetracer_otel.seams import Patch

__all__ = ["INTEGRATION", "TimeTracerMiddleware", "auto_setup"]

INTEGRATION = apps.entry("fastapi", Patch("fastapi.applications", "FastAPI.__call__", asgi_call))
auto_setup = apps.auto_setup(INTEGRATION)
