"""Flask: each request that reaches ``Flask.__call__`` is an entry."""

from __future__ import annotations

import sys
from typing import Any

from timetracer_otel.families.entry import apps
from timetracer_otel.families.entry.wsgi import TimeTracerMiddleware, wsgi_call
from timetracer_otel.seams import Patch
from timetracer_otel.seams.handlers import watched

__all__ = ["INTEGRATION", "TimeTracerMiddleware", "auto_setup"]


def _watched_view(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around ``Flask.ensure_sync``, which every function of the app passes: of them, the request's view counts."""
    function, *others = args or (kwargs.get("func"),)
    rule = sys.modules["flask"].request.url_rule if sys.modules["flask"].has_request_context() else None
    if rule is None or instance.view_functions.get(rule.endpoint) is not function:
        return wrapped(*args, **kwargs)
    kind, request = getattr(function, "view_class", None), sys.modules["flask"].request
    method = None if kind is None else getattr(kind, request.method.lower(), None) or kind.dispatch_request
    return wrapped(watched(function, method), *others)


INTEGRATION = apps.entry(
    "flask",
    Patch("flask.app", "Flask.__call__", wsgi_call),
    packages={"flask": "flask", "werkzeug": "werkzeug"},
    handlers=(Patch("flask.app", "Flask.ensure_sync", _watched_view),),
)
auto_setup = apps.auto_setup(INTEGRATION)
