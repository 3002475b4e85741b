"""Django: each request that reaches a WSGI or an ASGI handler, or the router of Channels, is an entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from timetracer_otel.errors import ReplayMiss
from timetracer_otel.families.entry.asgi import asgi_call
from timetracer_otel.families.entry.wsgi import wsgi_call
from timetracer_otel.integrations import _django_settings
from timetracer_otel.seams import Instrumentor, Integration, Patch, first_needs
from timetracer_otel.seams.door import install, set_up
from timetracer_otel.seams.handlers import watched

__all__ = ["INTEGRATION", "TimeTracerMiddleware", "auto_setup"]

_Handler = TypeVar("_Handler", bound=Callable[..., Any])
_HANDLERS = "django.core.handlers.base"
_KEPT = {
    "django.contrib.contenttypes.models": (
        "ContentTypeManager.get_by_natural_key",
        "ContentTypeManager.get_for_id",
        "ContentTypeManager.get_for_model",
        "ContentTypeManager.get_for_models",
    ),
    "django.contrib.sites.models": ("SiteManager.get_current",),
}
"""Managers that keep what they were told for all requests of the process."""


def _watched_view(wrapped: Any, _instance: object, args: Any, kwargs: Any) -> Any:
    """Go around ``BaseHandler.make_view_atomic``, which every view passes; a class leads on to one of its methods."""
    view, *others = args
    return wrapped(watched(view, getattr(view, "view_class", None)), *others, **kwargs)


def _call_ends(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around ``DatabaseErrorWrapper.__exit__``: a miss ended the connection, as Django must know."""
    if args and isinstance(args[1], ReplayMiss):
        instance.wrapper.errors_occurred = True
    return wrapped(*args, **kwargs)


INTEGRATION = Integration(
    "django",
    (
        Patch("django.core.handlers.wsgi", "WSGIHandler.__call__", wsgi_call),
        Patch("django.core.handlers.asgi", "ASGIHandler.__call__", asgi_call),
        Patch("channels.routing", "ProtocolTypeRouter.__call__", asgi_call),
        Patch("django.db.utils", "DatabaseErrorWrapper.__exit__", _call_ends),
        *(Patch(module, name, first_needs.for_all_requests) for module, names in _KEPT.items() for name in names),
        *_django_settings.PATCHES,
    ),
    handlers=(Patch(_HANDLERS, "BaseHandler.make_view_atomic", _watched_view),),
    plumbing=("django.db.backends.base.base",),  # when a connection is too old
    packages={"django": "django", "channels": "channels"},
    instrumentors=(Instrumentor("django", _HANDLERS),),
    oldest=("django", (4, 2)),
)


def auto_setup(app: _Handler | None = None, **settings: Any) -> _Handler | None:
    """Record or replay a Django project; called where its application is made, or in its settings.

    Args:
        app: what ``get_wsgi_application()`` or ``get_asgi_application()`` gave, if that is at hand.
        settings: fields of :class:`timetracer_otel.config.Settings`; they win over environment variables.

    Returns:
        The same app.

    Raises:
        ConfigError: a setting is wrong, or another mode is in force already.
    """
    set_up(**settings)
    return app


def TimeTracerMiddleware(get_response: _Handler, config: object = None) -> _Handler:  # noqa: N802 - timetracer 1.x's name
    """Record or replay the project whose ``MIDDLEWARE`` names it: this sets up, the handlers' seams do the rest.

    Args:
        get_response: what comes next, plain or async.
        config: the settings; those of the environment when None.

    Raises:
        ConfigError: a setting is wrong, or another mode is in force already.
    """
    install(config)
    return get_response


TimeTracerMiddleware.sync_capable = True  # type: ignore[attr-defined] # how Django learns what a middleware can do
TimeTracerMiddleware.async_capable = True  # type: ignore[attr-defined] # as above
