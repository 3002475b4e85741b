"""Starlette: each HTTP request that reaches ``Starlette.__call__`` is an entry."""

from __future__ import annotations

from typing import Any

from timetracer_otel.families.entry import apps
from timetracer_otel.families.entry.asgi import TimeTracerMiddleware, asgi_call
from timetracer_otel.seams import Patch
from timetracer_otel.seams.handlers import watched

__all__ = ["INTEGRATION", "TimeTracerMiddleware", "auto_setup"]


def _watched_endpoint(wrapped: Any, _instance: object, args: Any, kwargs: Any) -> Any:
    """Go around ``request_response(endpoint)``, which makes an app of a function."""
    endpoint, *others = args
    return wrapped(watched(endpoint), *others, **kwargs)


async def _watched_method(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around ``HTTPEndpoint.dispatch``, which calls the method of an endpoint that is a class."""
    name = instance.scope["method"].lower()
    method = getattr(instance, name, None)
    if method is not None:
        setattr(instance, name, watched(method))  # an endpoint is made for each request
    return await wrapped(*args, **kwargs)


INTEGRATION = apps.entry(
    "starlette",
    Patch("starlette.applications", "Starlette.__call__", asgi_call),
    handlers=(
        Patch("starlette.routing", "request_response", _watched_endpoint),
        Patch("starlette.endpoints", "HTTPEndpoint.dispatch", _watched_method),
    ),
)
auto_setup = apps.auto_setup(INTEGRATION)
