"""FastAPI: each HTTP request that reaches ``FastAPI.__call__`` is an entry.

Its own ``__call__`` writes ``root_path`` before Starlette's runs, so only this one sees the request as received.
"""

from __future__ import annotations

import copy
from typing import Any

from timetracer_otel.families.entry import apps
from timetracer_otel.families.entry.asgi import TimeTracerMiddleware, asgi_call
from timetracer_otel.seams import Patch
from timetracer_otel.seams.handlers import watched

__all__ = ["INTEGRATION", "TimeTracerMiddleware", "auto_setup"]


async def _watched_endpoint(wrapped: Any, _instance: object, args: Any, kwargs: Any) -> Any:
    """Go around ``run_endpoint_function(dependant=…)``, which calls the endpoint with what it depends on."""
    dependant = copy.copy(kwargs["dependant"])
    dependant.call = watched(dependant.call)
    return await wrapped(*args, **{**kwargs, "dependant": dependant})


INTEGRATION = apps.entry(
    "fastapi",
    Patch("fastapi.applications", "FastAPI.__call__", asgi_call),
    handlers=(Patch("fastapi.routing", "run_endpoint_function", _watched_endpoint),),
)
auto_setup = apps.auto_setup(INTEGRATION)
